/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spool_check STATE_DIR [loose | dump]: is the spool of this host one valid chain? For tests. */
#include <stdio.h>
#include <string.h>

#include "agent/identity.h"
#include "spool_check.h"

#define N(x) ((unsigned long long)(x))

int main(int argc, char **argv)
{
    struct spool_report r;
    struct sshkey *key = NULL;
    struct pofr_err err = { 0 };
    char dir[4096];
    bool good;

    if (argc < 2 || identity_read_key(argv[1], IDENTITY_KEY, &key, &err) != 0) {
        fprintf(stderr, "usage: spool_check STATE_DIR [loose | dump]\n%s\n", err.text);
        return 2;
    }
    snprintf(dir, sizeof(dir), "%s/spool", argv[1]);
    good = spool_check_dump(dir, sshkey_public(key), argc == 2,
                            argc > 2 && strcmp(argv[2], "dump") == 0 ? stdout : NULL, &r);
    printf("%s bundles=%llu..%llu ticks=%llu records=%llu keyframes=%llu gaps=%llu runs=%llu recovered=%llu lost=%llu "
           "acked=%llu contradictions=%llu sums=%llu %s\n",
           good ? "valid" : "INVALID", N(r.first), N(r.last), N(r.ticks), N(r.records), N(r.keyframes), N(r.gaps),
           N(r.runs), N(r.recovered), N(r.lost_total), N(r.acked), N(r.snapshot_errors), N(r.sum_errors), r.problem);
    if (r.snapshot != NULL) {
        printf("open: processes=%zu files=%zu sockets=%zu\n", snapshot_count(r.snapshot, REC_PROCESS),
               snapshot_count(r.snapshot, REC_FILE), snapshot_count(r.snapshot, REC_SOCKET));
        snapshot_free(r.snapshot);
    }
    sshkey_free(key);
    return good ? 0 : 1;
}
