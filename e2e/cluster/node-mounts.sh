#!/usr/bin/env bash
# Runs inside a node's namespaces: what a machine has of its own. Arguments: its disk, then the cgroup controllers.
set -euo pipefail
disk=$1
shift
mount -n --make-rshared /
mount -n -t tmpfs run /run
mount -t tmpfs log /var/log
mount --bind "$disk/lib" /var/lib
mkdir -p /var/lib/kubelet/plugins /run/containerd /run/lock
mount --bind "$disk/kubelet" /var/lib/kubelet
mount --make-rshared /var/lib/kubelet
mount -t sysfs sysfs /sys
mount -t tmpfs cgroup /sys/fs/cgroup
for group in "$@"; do
  mkdir -p "/sys/fs/cgroup/$group"
  name=$group
  [ "$group" != systemd ] || name=none,name=systemd
  mount -t cgroup -o "$name" cgroup "/sys/fs/cgroup/$group"
done
# What the kubelet would else set for the whole machine.
for setting in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1; do
  file=/run/${setting%%=*}
  mkdir -p "$(dirname "$file")"
  echo "${setting##*=}" >"$file"
  mount --bind "$file" "/proc/sys/${setting%%=*}"
done
