//! Whether a file with a secret is for this process alone.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// Group and others have no rights; or, as a kubelet mounts Secrets in pods: the file is root's, this process is not
/// root, and its own group may read it and no more.
pub fn is_private(about: &Metadata) -> bool {
    let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    judge(about.mode(), (about.uid(), about.gid()), own)
}

fn judge(mode: u32, (user, group): (u32, u32), (own_user, own_group): (u32, u32)) -> bool {
    let has_none_of = |rights: u32| mode & rights == 0;
    let mounted = user == 0 && own_user != 0 && group == own_group && has_none_of(0o037);
    mounted || has_none_of(0o077)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_private_when_nobody_else_may_read_it_or_a_kubelet_mounted_it() {
        let (pod, root) = ((65532, 65532), (0, 0));
        for (mode, owner, own, private) in [
            (0o100_600, pod, pod, true),
            (0o100_400, root, root, true),
            (0o100_440, (0, 65532), pod, true),
            (0o100_640, (0, 65532), pod, true),
            (0o100_444, (0, 65532), pod, false),
            (0o100_460, (0, 65532), pod, false),
            (0o100_440, (0, 7), pod, false),
            (0o100_440, pod, pod, false),
            (0o100_440, (7, 65532), pod, false),
            (0o100_440, root, root, false),
        ] {
            assert_eq!(judge(mode, owner, own), private, "{mode:o} {owner:?} {own:?}");
        }
    }
}
