//! seccomp: the system calls that a running signer makes.
//!
//! Two filters, of which the stricter wins. A call that is on no list fails with `EPERM`, so that a newer C library that
//! tries something harmless first falls back instead of dying. A call that only an intruder makes (start a program, read
//! another process, load code, change namespaces) ends the process. Memory never becomes executable, no process is forked
//! off through `clone`, and no socket is opened unless the configuration names somebody to connect to.

use super::HardeningError;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use std::collections::BTreeMap;

/// Whether connections are opened after start-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outward {
    /// To the ports that Landlock allows.
    Connects,
    /// None.
    Never,
}

/// Any arguments.
const ALLOWED: &[libc::c_long] = &[
    // files below the state folder and the TLS folder; which ones is Landlock's affair
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_lseek,
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fstatfs,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_copy_file_range,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    // memory
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // threads and signals
    libc::SYS_clone3,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_set_tid_address,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_tgkill,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // time and waiting
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_ppoll,
    libc::SYS_eventfd2,
    // connections that arrive
    libc::SYS_accept4,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    // the rest
    libc::SYS_getrandom,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    // Whether a token's PIN file is read by its own group alone, when the token comes back.
    libc::SYS_getegid,
    libc::SYS_uname,
    libc::SYS_getrusage,
];

/// Older forms of the above that C libraries still use on this architecture.
#[cfg(target_arch = "x86_64")]
const OLDER: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_chmod,
    libc::SYS_poll,
    libc::SYS_epoll_wait,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[libc::c_long] = &[];

/// Made by intruders only.
const DEADLY: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_personality,
];

fn refused(error: impl std::fmt::Display) -> HardeningError {
    HardeningError::Calls(error.to_string())
}

/// One argument of a call, by its place, and what it must be.
fn argument(place: u8, operator: SeccompCmpOp, value: libc::c_int) -> Result<SeccompRule, HardeningError> {
    let value = u64::from(value.cast_unsigned());
    let condition =
        SeccompCondition::new(place, SeccompCmpArgLen::Dword, operator, value).map_err(refused)?;
    SeccompRule::new(vec![condition]).map_err(refused)
}

fn is(place: u8, value: libc::c_int) -> Result<SeccompRule, HardeningError> {
    argument(place, SeccompCmpOp::Eq, value)
}

fn has(place: u8, bits: libc::c_int) -> Result<SeccompRule, HardeningError> {
    argument(place, SeccompCmpOp::MaskedEq(u64::from(bits.cast_unsigned())), bits)
}

fn lacks(place: u8, bits: libc::c_int) -> Result<SeccompRule, HardeningError> {
    argument(place, SeccompCmpOp::MaskedEq(u64::from(bits.cast_unsigned())), 0)
}

fn allowed(outward: Outward) -> Result<BTreeMap<i64, Vec<SeccompRule>>, HardeningError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().chain(OLDER).map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_mmap, vec![lacks(2, libc::PROT_EXEC)?]);
    rules.insert(libc::SYS_mprotect, vec![lacks(2, libc::PROT_EXEC)?]);
    rules.insert(libc::SYS_clone, vec![has(0, libc::CLONE_THREAD)?]);
    rules.insert(libc::SYS_prctl, vec![is(0, libc::PR_SET_NAME)?]);
    // A number of an ioctl, which the C library types differently from one system to the next.
    #[expect(clippy::cast_possible_truncation, reason = "0x5421 fits")]
    rules.insert(libc::SYS_ioctl, vec![is(1, libc::FIONBIO as libc::c_int)?]);
    // Reading limits, as a thread does that asks for the size of its stack; the third argument would be new ones.
    let reads = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0).map_err(refused)?;
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![reads]).map_err(refused)?]);
    match outward {
        Outward::Connects => {
            rules.insert(libc::SYS_socket, vec![is(0, libc::AF_INET)?, is(0, libc::AF_INET6)?]);
            rules.insert(libc::SYS_connect, Vec::new());
        }
        Outward::Never => {}
    }
    Ok(rules)
}

/// The two filters.
fn filters(outward: Outward) -> Result<[BpfProgram; 2], HardeningError> {
    let here: TargetArch = std::env::consts::ARCH.try_into().map_err(refused)?;
    let compile = |rules, otherwise, matching| {
        let filter = SeccompFilter::new(rules, otherwise, matching, here).map_err(refused)?;
        BpfProgram::try_from(filter).map_err(refused)
    };
    let denied = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let deadly = DEADLY.iter().map(|call| (*call, Vec::new())).collect();
    Ok([
        compile(deadly, SeccompAction::Allow, SeccompAction::KillProcess)?,
        compile(allowed(outward)?, denied, SeccompAction::Allow)?,
    ])
}

/// Limits all threads of the process, for good. Errors: the kernel refused; nothing may be served then.
pub fn confine(outward: Outward) -> Result<(), HardeningError> {
    // The deadly first: the other does not allow to add a third.
    for filter in filters(outward)? {
        seccompiler::apply_filter_all_threads(&filter).map_err(refused)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_deadly_is_allowed_and_both_filters_compile() {
        for outward in [Outward::Connects, Outward::Never] {
            let rules = allowed(outward).unwrap();
            assert!(DEADLY.iter().all(|call| !rules.contains_key(call)));
            assert_eq!(rules.contains_key(&libc::SYS_socket), outward == Outward::Connects);
            filters(outward).unwrap();
        }
    }
}
