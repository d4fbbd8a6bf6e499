/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/container.h"

#include "tests/support/check.h"

#include "common/base/compiler.h"

#define ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID2 "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static void each_runtime_is_known_by_its_group(void **state)
{
    static const struct {
        const char *text, *container;
    } cases[] = {
        { "0::/\n", "" },
        { "0::/user.slice/user-1000.slice/session-3.scope\n", "" },
        { "0::/system.slice/docker-" ID ".scope\n", ID },
        { "12:cpuset:/docker/" ID "\n0::/\n", ID },
        { "12:cpuset:/\n5:memory:/docker/" ID "/system.slice/x.service\n", ID },
        { "0::/docker/" ID "/docker/" ID2 "\n", ID2 },
        { "0::/machine.slice/libpod-" ID ".scope/container\n", ID },
        { "0::/machine.slice/libpod-conmon-" ID ".scope\n", "" },
        { "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope\n", ID },
        { "0::/libpod_parent/libpod-" ID "\n", ID },
        { "0::/kubepods/burstable/pod8a5c3f1e-4b7d-4c0e-9a51-1c2d3e4f5a6b/" ID "\n", ID },
        { "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/cri-containerd-" ID ".scope\n",
          ID },
        { "0::/kubepods.slice/kubepods-pod1.slice/crio-" ID ".scope\n", ID },
        { "0::/kubepods.slice/kubepods-pod1.slice/crio-conmon-" ID ".scope\n", "" },
        { "0::/default/" ID "\n", ID },
        { "0::/lxc.payload.web1/system.slice/ssh.service\n", "web1" },
        { "0::/lxc.monitor.web1\n", "" },
        { "7:devices:/lxc/web2\n", "web2" },
        { "0::/machine.slice/systemd-nspawn@db.service/payload\n", "db" },
        { "0::/machine.slice/machine-db.scope\n", "db" },
        { "0::/system.slice/docker-0123.scope\n", "" },
        { "0::/system.slice/docker.service\n", "" },
        { "nonsense", "" },
        { "", "" },
        { ":::\n::/\n", "" },
    };

    (void)state;
    for (size_t i = 0; i < pofr_countof(cases); i++) {
        assert_slice_str(cgroup_container(slice_str(cases[i].text)), cases[i].container);
    }
}

static void the_group_that_says_most_is_recorded(void **state)
{
    static const struct {
        const char *text, *path;
    } cases[] = {
        { "0::/system.slice/ssh.service\n", "/system.slice/ssh.service" },
        { "4:memory:/a\n1:name=systemd:/b\n0::/c\n", "/c" },
        { "4:memory:/a\n1:name=systemd:/b\n0::/\n", "/b" },
        { "4:memory:/a\n1:name=systemd:/\n0::/\n", "/a" },
        { "5:cpu,cpuacct:/\n4:memory:/a\n", "/a" },
        { "1:name=systemd:/\n0::/\n", "/" },
        { "0::/with:colon:in it\n", "/with:colon:in it" },
        { "", "" },
        { "x\n", "" },
    };

    (void)state;
    for (size_t i = 0; i < pofr_countof(cases); i++) {
        assert_slice_str(cgroup_path(slice_str(cases[i].text)), cases[i].path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_runtime_is_known_by_its_group),
        cmocka_unit_test(the_group_that_says_most_is_recorded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
