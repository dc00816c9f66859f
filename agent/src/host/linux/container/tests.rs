use tempfile::TempDir;

use super::*;

const GIB: u64 = 1 << 30;

/// The control groups of a container on a host with 8 GiB and four processors.
struct Tree(TempDir);

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for (file, text) in files {
            tree.write(file, text);
        }
        tree
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The memory limit, what is used of it, and the limit of processors.
    fn limits(&self) -> (Option<u64>, Option<u64>, Option<f64>) {
        let mut host = Host { memory_total_bytes: Some(8 * GIB), cpu_count: Some(4), ..Host::default() };
        Container::new(self.0.path(), self.0.path()).read(&mut host);
        (host.container_memory_limit_bytes, host.container_memory_used_bytes, host.container_cpu_limit)
    }
}

#[test]
fn a_containers_limits_are_the_smallest_up_to_the_root() {
    let tree = Tree::new(&[
        ("self/cgroup", "0::/kubepods/pod1/container\n"),
        ("fs/cgroup/cpuset.cpus.effective", "0-3\n"),
        ("fs/cgroup/kubepods/memory.max", "1073741824\n"),
        ("fs/cgroup/kubepods/cpu.max", "150000 100000\n"),
        ("fs/cgroup/kubepods/pod1/memory.max", "536870912\n"),
        ("fs/cgroup/kubepods/pod1/memory.current", "400000000\n"),
        ("fs/cgroup/kubepods/pod1/memory.stat", "anon 300000000\ninactive_file 90000000\n"),
        ("fs/cgroup/kubepods/pod1/container/memory.max", "max\n"),
        ("fs/cgroup/kubepods/pod1/container/cpu.max", "max 100000\n"),
    ]);
    assert_eq!(tree.limits(), (Some(536_870_912), Some(310_000_000), Some(1.5)));
    tree.write("fs/cgroup/kubepods/pod1/container/cpuset.cpus.effective", "2\n");
    assert_eq!(tree.limits().2, Some(1.0));
}

#[test]
fn what_the_host_has_is_no_limit() {
    let tree = Tree::new(&[("self/cgroup", "0::/\n"), ("fs/cgroup/cpuset.cpus.effective", "0-3\n")]);
    assert_eq!(tree.limits(), (None, None, None));
    tree.write("fs/cgroup/memory.max", "8589934592\n");
    tree.write("fs/cgroup/cpu.max", "400000 100000\n");
    assert_eq!(tree.limits(), (None, None, None));
    tree.write("fs/cgroup/cpu.max", "0 0\n");
    assert_eq!(tree.limits().2, None);
}

#[test]
fn in_a_namespace_of_its_own_a_containers_group_is_the_root() {
    let tree = Tree::new(&[
        ("fs/cgroup/memory.max", "268435456\n"),
        ("fs/cgroup/cpu.max", "50000 100000\n"),
        ("fs/cgroup/kubepods/pod1/memory.max", "1\n"),
    ]);
    // A path outside of the namespace, or one of the host's, leads nowhere.
    for path in ["/", "/../../kubepods/pod1", "/docker/0123"] {
        tree.write("self/cgroup", &format!("0::{path}\n"));
        assert_eq!(tree.limits(), (Some(268_435_456), None, Some(0.5)), "{path}");
    }
}

#[test]
fn the_limit_of_the_agents_own_service_is_not_its_hosts() {
    let tree = Tree::new(&[
        ("self/cgroup", "0::/system.slice/tidemap-agent.service\n"),
        ("fs/cgroup/system.slice/tidemap-agent.service/memory.max", "67108864\n"),
        ("fs/cgroup/system.slice/tidemap-agent.service/cpu.max", "10000 100000\n"),
    ]);
    assert_eq!(tree.limits(), (None, None, None));
    tree.write("fs/cgroup/memory.max", "1073741824\n");
    assert_eq!(tree.limits().0, Some(GIB), "of a container that has services");
}

#[test]
fn control_groups_of_the_first_version_have_the_same_limits() {
    let tree = Tree::new(&[
        ("self/cgroup", "9:memory:/docker/1\n4:cpuset:/docker/1\n3:cpu,cpuacct:/docker/1\n0::/docker/1\n"),
        ("fs/cgroup/unified/cgroup.procs", ""),
        ("fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ("fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
        ("fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
        ("fs/cgroup/cpuset/cpuset.cpus", "0-3\n"),
    ]);
    assert_eq!(tree.limits(), (None, None, None));
    tree.write("fs/cgroup/memory/docker/1/memory.limit_in_bytes", "1073741824\n");
    tree.write("fs/cgroup/memory/docker/1/memory.usage_in_bytes", "5000000\n");
    tree.write("fs/cgroup/memory/docker/1/memory.stat", "cache 1\ntotal_inactive_file 1000000\n");
    tree.write("fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us", "250000\n");
    tree.write("fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_period_us", "100000\n");
    assert_eq!(tree.limits(), (Some(GIB), Some(4_000_000), Some(2.5)));
    tree.write("fs/cgroup/cpuset/docker/1/cpuset.cpus", "0-1\n");
    assert_eq!(tree.limits().2, Some(2.0));
    // The limit of a group around it that is not visible.
    tree.write("fs/cgroup/memory/docker/1/memory.stat", "hierarchical_memory_limit 536870912\n");
    assert_eq!(tree.limits().0, Some(GIB / 2));
}

#[test]
fn a_list_of_processors_has_a_length() {
    for (list, expected) in
        [("0", Some(1)), ("0-3", Some(4)), ("0-3,8,10-11", Some(7)), ("", None), ("3-0", None), ("a", None)]
    {
        assert_eq!(length(list), expected, "{list}");
    }
}
