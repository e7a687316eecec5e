#pragma once

/*
 * The table's real directory, for tests of what has its path built in: a tmpfs over it, in a mount
 * namespace of this test's own. Criterion runs each test in a process of its own.
 */

#include <sched.h>
#include <sys/mount.h>

#include "table-fixture.h"

static inline void rundir_init(struct fixture *f)
{
        struct khs_table_params params = fixture_params();

        if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0)
                cr_skip_test("needs root and a mount namespace");
        cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        cr_assert_eq(mount("tmpfs", "/run", "tmpfs", 0, "mode=755"), 0);
        cr_assert_eq(mkdir(K8SHSVC_RUNDIR, 0755), 0);
        strcpy(f->dir, K8SHSVC_RUNDIR);
        f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert_geq(f->dir_fd, 0);
        cr_assert_eq(khs_writer_new(&f->writer, f->dir_fd, &params, 1), 0);
}
