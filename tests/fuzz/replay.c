/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replay.c -- main() of a fuzz target where there is no libFuzzer: feeds it every file named on the command
 * line, and every file of every folder named there (one level). Ends with 1 when there was nothing to feed.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (64L * 1024 * 1024)

/* Returns 1 for a file that was fed, 0 for one that was not. */
static int feed(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    long size;
    int fed = 0;

    if (!f) {
        perror(path);
        return 0;
    }
    if (fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) >= 0 && size <= INPUT_MAX && fseek(f, 0, SEEK_SET) == 0) {
        data = malloc(size > 0 ? (size_t)size : 1); /* exactly as long: the address sanitizer sees each byte beyond */
        if (data && fread(data, 1, (size_t)size, f) == (size_t)size) {
            (void)LLVMFuzzerTestOneInput(data, (size_t)size); /* always 0 */
            fed = 1;
        }
    }
    free(data);
    (void)fclose(f); /* was only read */
    return fed;
}

static int feed_dir(const char *dir)
{
    struct dirent **names = NULL;
    int n = scandir(dir, &names, NULL, alphasort);
    int fed = 0;

    for (int i = 0; i < n; i++) {
        char path[4096];
        struct stat st;

        if (snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name) < (int)sizeof(path) && stat(path, &st) == 0 &&
            S_ISREG(st.st_mode)) {
            fed += feed(path);
        }
        free(names[i]);
    }
    free(names);
    return fed;
}

int main(int argc, char **argv)
{
    int fed = 0;

    for (int i = 1; i < argc; i++) {
        struct stat st;

        fed += stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode) ? feed_dir(argv[i]) : feed(argv[i]);
    }
    printf("%d inputs\n", fed);
    return fed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
