/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host_machine.c -- what the host calls itself and runs, and what it is made of. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/look/host_items.h"

#define VALUE_MAX   1024
#define DEVICES_MAX 4096

static void info(struct host_items *h, const char *name, struct slice value)
{
    struct record *r = slice_empty(value) ? NULL : host_items_add(h, REC_HOSTINFO);

    if (r) {
        r->hostinfo.name = slice_str(name);
        r->hostinfo.value = host_items_text(h, value, VALUE_MAX);
    }
}

static void hardware(struct host_items *h, const char *class, struct slice name, struct slice value)
{
    struct record *r = slice_empty(value) ? NULL : host_items_add(h, REC_HWINFO);

    if (r) {
        r->hwinfo.class = slice_str(class);
        r->hwinfo.name = host_items_text(h, name, 255);
        r->hwinfo.value = host_items_text(h, value, VALUE_MAX);
    }
}

/* The value of KEY=VALUE in a file of os-release(5), without its quotes; empty: not there. */
static struct slice os_release(struct slice text, const char *key)
{
    while (!slice_empty(text)) {
        struct slice value = slice_split(&text, '\n');
        struct slice name = slice_split(&value, '=');

        if (slice_eq_str(name, key)) {
            value = slice_trim(value);
            if (value.len >= 2 && (value.data[0] == '"' || value.data[0] == '\'') &&
                value.data[value.len - 1] == value.data[0]) {
                value = slice_sub(value, 1, value.len - 2);
            }
            return value;
        }
    }
    return SLICE_EMPTY;
}

/* /etc/localtime is a link into the zone database; else /etc/timezone names it; else UTC, as libc has it. */
static void time_zone(const char *root, struct host_items *h, struct buf *b)
{
    static const char marker[] = "/zoneinfo/";
    char path[PATH_MAX];
    char target[PATH_MAX];
    ssize_t n;

    snprintf(path, sizeof(path), "%s/etc/localtime", root);
    n = readlink(path, target, sizeof(target) - 1);
    if (n > 0) {
        const char *at;

        target[n] = 0;
        at = strstr(target, marker);
        if (at) {
            info(h, "timezone", slice_str(at + sizeof(marker) - 1));
            return;
        }
    }
    if (host_read(root, "/etc/timezone", b)) {
        info(h, "timezone", slice_trim(buf_slice(b)));
        return;
    }
    info(h, "timezone", slice_str("UTC"));
}

void host_gather_hostinfo(const char *root, struct host_items *h)
{
    struct buf b = BUF_INIT(HOST_FILE_MAX);
    struct utsname u;

    if (uname(&u) == 0) {
        info(h, "hostname", slice_str(u.nodename));
        info(h, "kernel", slice_str(u.release));
        info(h, "kernel_version", slice_str(u.version));
        info(h, "architecture", slice_str(u.machine));
        info(h, "domain", slice_eq_str(slice_str(u.domainname), "(none)") ? SLICE_EMPTY : slice_str(u.domainname));
    }
    if (host_read(root, "/etc/os-release", &b) || host_read(root, "/usr/lib/os-release", &b)) {
        info(h, "os", os_release(buf_slice(&b), "PRETTY_NAME"));
        info(h, "os_id", os_release(buf_slice(&b), "ID"));
        info(h, "os_version", os_release(buf_slice(&b), "VERSION_ID"));
    }
    time_zone(root, h, &b);
    if (host_read(root, "/etc/machine-id", &b)) {
        info(h, "machine_id", slice_trim(buf_slice(&b)));
    }
    if (host_read(root, "/run/systemd/container", &b)) {
        info(h, "container", slice_trim(buf_slice(&b)));
    }
    if (host_read(root, "/proc/cmdline", &b)) {
        info(h, "kernel_arguments", slice_trim(buf_slice(&b)));
    }
    buf_free(&b);
}

/* Lines "key : value" of /proc/cpuinfo; the first of each processor's model counts, and how many there are. */
static void cpus(const char *root, struct host_items *h, struct buf *b)
{
    struct slice text;
    struct slice model = SLICE_EMPTY;
    unsigned count = 0;
    char number[16];

    if (!host_read(root, "/proc/cpuinfo", b)) {
        return;
    }
    text = buf_slice(b);
    while (!slice_empty(text)) {
        struct slice value = slice_split(&text, '\n');
        struct slice key = slice_trim(slice_split(&value, ':'));

        count += slice_eq_str(key, "processor");
        if (slice_empty(model) && (slice_eq_str(key, "model name") || slice_eq_str(key, "Model"))) {
            model = slice_trim(value);
        }
    }
    snprintf(number, sizeof(number), "%u", count);
    hardware(h, "cpu", slice_str("count"), slice_str(number));
    hardware(h, "cpu", slice_str("model"), model);
}

static void memory(const char *root, struct host_items *h, struct buf *b)
{
    struct slice text;

    if (!host_read(root, "/proc/meminfo", b)) {
        return;
    }
    text = buf_slice(b);
    while (!slice_empty(text)) {
        struct slice value = slice_split(&text, '\n');

        if (slice_eq_str(slice_split(&value, ':'), "MemTotal")) {
            hardware(h, "memory", slice_str("total"), slice_trim(value));
            return;
        }
    }
}

/* For each entry of a folder under /sys: the texts of files, joined by blanks, are its value. */
static void devices(const char *root, struct host_items *h, struct buf *b, const char *class, const char *folder,
                    const char *const *files, const char *skip)
{
    char path[PATH_MAX];
    unsigned count = 0;
    struct dirent *d;
    DIR *dir;

    snprintf(path, sizeof(path), "%s%s", root, folder);
    dir = opendir(path);
    while (dir && (d = readdir(dir)) != NULL && count < DEVICES_MAX) {
        struct buf value = BUF_INIT(VALUE_MAX);

        if (d->d_name[0] == '.' || (skip && strchr(skip, d->d_name[0]) && strncmp(d->d_name, "nvme", 4) != 0)) {
            continue;
        }
        count++;
        for (size_t i = 0; files[i]; i++) {
            snprintf(path, sizeof(path), "%s/%s/%s", folder, d->d_name, files[i]);
            if (host_read(root, path, b)) {
                if (value.len) {
                    buf_u8(&value, ' ');
                }
                buf_append(&value, slice_sub(slice_trim(buf_slice(b)), 0, 200));
            }
        }
        hardware(h, class, slice_str(d->d_name), buf_slice(&value));
        buf_free(&value);
    }
    if (dir) {
        closedir(dir);
    }
}

void host_gather_hwinfo(const char *root, struct host_items *h)
{
    static const char *const dmi[] = { "sys_vendor", "product_name", "product_version",
                                       "board_name", "bios_vendor",  "bios_version" };
    static const char *const disk[] = { "size", "device/model", NULL };
    static const char *const pci[] = { "vendor", "device", "class", NULL };
    static const char *const net[] = { "device/vendor", "device/device", "address", NULL };
    struct buf b = BUF_INIT(HOST_FILE_MAX);

    cpus(root, h, &b);
    memory(root, h, &b);
    for (size_t i = 0; i < pofr_countof(dmi); i++) {
        char path[64];

        snprintf(path, sizeof(path), "/sys/class/dmi/id/%s", dmi[i]);
        if (host_read(root, path, &b)) {
            hardware(h, "dmi", slice_str(dmi[i]), slice_trim(buf_slice(&b)));
        }
    }
    devices(root, h, &b, "disk", "/sys/block", disk, "lrz"); /* without loop, ram, zram */
    devices(root, h, &b, "pci", "/sys/bus/pci/devices", pci, NULL);
    devices(root, h, &b, "net", "/sys/class/net", net, NULL);
    buf_free(&b);
}
