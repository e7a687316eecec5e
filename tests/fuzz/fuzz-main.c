/*
 * Replays a fuzz target's corpus without a fuzzer: each file given, or each file of each directory. TAP.
 */

#include <assert.h>
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned int n_files;

static void replay(const char *path)
{
        FILE *f = fopen(path, "re");
        uint8_t *data;
        long size;

        assert(f);
        assert(fseek(f, 0, SEEK_END) == 0);
        size = ftell(f);
        assert(size >= 0);
        rewind(f);
        /* As long as the input, so that valgrind and the sanitizers see what reads beyond it. */
        data = malloc(size > 0 ? (size_t)size : 1);
        assert(data && fread(data, 1, (size_t)size, f) == (size_t)size);
        (void)fclose(f);

        /* Said before it runs: whoever dies is the last one named. */
        printf("# %s\n", path);
        (void)fflush(stdout);
        (void)LLVMFuzzerTestOneInput(data, (size_t)size);
        free(data);
        n_files++;
}

static void replay_all(const char *path)
{
        DIR *dir = opendir(path);
        struct dirent *entry;

        if (!dir) {
                replay(path);
                return;
        }
        while ((entry = readdir(dir))) {
                char file[4096];

                if (entry->d_name[0] == '.')
                        continue;
                (void)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
                replay(file);
        }
        (void)closedir(dir);
}

int main(int argc, char **argv)
{
        for (int i = 1; i < argc; i++)
                replay_all(argv[i]);
        printf("%sok 1 - %u inputs\n1..1\n", n_files > 0 ? "" : "not ", n_files);
        return n_files == 0;
}
