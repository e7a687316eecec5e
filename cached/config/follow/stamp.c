/*
 * Stamps: a few system calls instead of reading the files, cheap enough for twice a second.
 *
 * stat(2) follows every link on the way, so an exchanged `..data` of a ConfigMap's volume, a
 * directory that is moved or mounted over, and a file that is replaced show in the same way: what the
 * path leads to is another inode. A file that is written in place keeps its inode and gets another
 * mtime and ctime. Of a directory only the names of configuration files count: an editor's swap file
 * beside them changes nothing.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "config/files.h"
#include "config/follow/stamp.h"

static uint64_t mix(uint64_t hash, uint64_t value)
{
        hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
        return hash ^ hash >> 29;
}

static uint64_t stamp_file(int directory, const char *path)
{
        uint64_t hash = 1;
        struct stat st;

        if (fstatat(directory, path, &st, 0) < 0)
                return mix(hash, (uint64_t)errno);
        hash = mix(hash, st.st_dev);
        hash = mix(hash, st.st_ino);
        hash = mix(hash, (uint64_t)st.st_size);
        hash = mix(hash, (uint64_t)st.st_mtim.tv_sec);
        hash = mix(hash, (uint64_t)st.st_mtim.tv_nsec);
        hash = mix(hash, (uint64_t)st.st_ctim.tv_sec);
        return mix(hash, (uint64_t)st.st_ctim.tv_nsec);
}

/* A sum, since a directory has no order. */
static uint64_t stamp_directory(const char *path)
{
        DIR *directory = opendir(path);
        uint64_t sum = 0;
        struct dirent *entry;

        if (!directory)
                return mix(1, (uint64_t)errno);
        while ((entry = readdir(directory))) {
                uint64_t hash;

                if (!config_files_want(entry->d_name))
                        continue;
                hash = stamp_file(dirfd(directory), entry->d_name);
                for (const char *c = entry->d_name; *c; c++)
                        hash = mix(hash, (unsigned char)*c);
                sum += hash;
        }
        (void)closedir(directory);
        return sum;
}

uint64_t config_stamp(const char *const paths[static CONFIG_STAMP_PATHS])
{
        uint64_t hash = paths[0] ? stamp_file(AT_FDCWD, paths[0]) : 0;

        for (unsigned int i = 1; i < CONFIG_STAMP_PATHS; i++)
                hash = mix(hash, paths[i] ? stamp_directory(paths[i]) : 0);
        return hash;
}
