/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * commands.h -- the subcommands of pofr-agent. argv[0] is "pofr-agent WORD"; the result is the exit code.
 */
#pragma once

int collect_main(int argc, char **argv); /* agent/collect/collect.c */
int run_main(int argc, char **argv);     /* agent/run.c: starts collector and shipper, each under its uid */
int ship_main(int argc, char **argv);    /* agent/ship/ */
int enrol_main(int argc, char **argv);
int rekey_main(int argc, char **argv);
int status_main(int argc, char **argv);
int doctor_main(int argc, char **argv);
