/*
 * The module: whether programs can load it, those of each architecture for which there is a C library.
 *
 * For our own process the loader is asked. For others, and for other architectures, the file must lie beside the C
 * library, or where ld.so looks by itself, and be of its kind.
 */

#include <dlfcn.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "ctl/doctor/check.h"
#include "ctl/doctor/child.h"
#include "ctl/doctor/elf.h"
#include "ctl/doctor/eyes.h"

#define MODULE_CHECK "module"
#define MODULE       "libnss_k8shsvc.so.2"
#define ENTRY        "_nss_k8shsvc_gethostbyname4_r"
#define MODULE_MEND  "install libnss-k8shsvc of this architecture"

/* Where C libraries are, and modules beside them; patterns of glob(3). */
static const char *const library_dirs[] = {
        "/lib/*-linux-gnu*",
        "/usr/lib/*-linux-gnu*",
        "/lib64",
        "/usr/lib64",
        "/lib",
        "/usr/lib",
        "/lib32",
        "/usr/lib32",
        "/libx32",
        "/usr/libx32",
        "/usr/local/lib",
};

/* Return: whether the search is over. */
typedef bool (*library_fn)(void *user, const char *path, const struct elf_kind *kind);

/* Calls for each ELF file that @pattern means. */
static bool module_libraries_in(const char *pattern, library_fn fn, void *user)
{
        bool found = false;
        glob_t paths;

        if (glob(pattern, GLOB_NOSORT, NULL, &paths) != 0)
                return false;
        for (size_t i = 0; i < paths.gl_pathc && !found; i++) {
                struct elf_kind kind;

                if (elf_read_kind(paths.gl_pathv[i], &kind) == 0)
                        found = fn(user, paths.gl_pathv[i], &kind);
        }
        globfree(&paths);
        return found;
}

/* The directories that a file of ld.so.conf names, one in a line. */
static bool module_libraries_of_conf(const char *conf, const char *name, library_fn fn, void *user)
{
        _cleanup_(cleanup_free) char *text = NULL;
        char *save = NULL, path[512];
        size_t n;

        if (file_read(conf, 1 << 20, &text, &n) < 0)
                return false;
        for (char *line = strtok_r(text, " \t\n", &save); line; line = strtok_r(NULL, " \t\n", &save)) {
                (void)snprintf(path, sizeof(path), "%s/%s", line, name);
                if (line[0] == '/' && module_libraries_in(path, fn, user))
                        return true;
        }
        return false;
}

/* All libraries of this name that ld.so may find. Return: whether one call has returned true. */
static bool module_libraries_any(const char *name, library_fn fn, void *user)
{
        bool found = false;
        char pattern[256];
        glob_t confs;

        for (size_t i = 0; i < sizeof(library_dirs) / sizeof(library_dirs[0]) && !found; i++) {
                (void)snprintf(pattern, sizeof(pattern), "%s/%s", library_dirs[i], name);
                found = module_libraries_in(pattern, fn, user);
        }
        if (found || glob("/etc/ld.so.conf.d/*.conf", 0, NULL, &confs) != 0)
                return found || module_libraries_of_conf("/etc/ld.so.conf", name, fn, user);
        for (size_t i = 0; i < confs.gl_pathc && !found; i++)
                found = module_libraries_of_conf(confs.gl_pathv[i], name, fn, user);
        globfree(&confs);
        return found || module_libraries_of_conf("/etc/ld.so.conf", name, fn, user);
}

static bool module_is_of_kind(void *user, const char *path, const struct elf_kind *kind)
{
        (void)path;
        return elf_kind_equal(user, kind);
}

/* Remembers the first module, whatever its kind. */
struct seen {
        char path[256];
        struct elf_kind kind;
};

static bool module_see(void *user, const char *path, const struct elf_kind *kind)
{
        struct seen *seen = user;

        (void)snprintf(seen->path, sizeof(seen->path), "%s", path);
        seen->kind = *kind;
        return true;
}

/* ---- of our own process ---- */

/* In a child, which a damaged module may kill. Writes nothing where all is well. */
static void module_load(FILE *to, void *user)
{
        void *module = dlopen(MODULE, RTLD_NOW | RTLD_LOCAL);

        (void)user;
        if (!module)
                (void)fputs(dlerror(), to);
        else if (!dlsym(module, ENTRY))
                (void)fputs("it is not ours, since it lacks " ENTRY, to);
}

static void module_check_own(struct doctor *d, const struct elf_kind *own)
{
        char why[512], theirs[32], ours[32];
        int r = child_run(module_load, NULL, why, sizeof(why));
        struct seen seen = { 0 };

        if (r == 0 && !why[0])
                doctor_sayf(d, MODULE_CHECK, VERDICT_OK, NULL, "%s can be loaded (%s)", MODULE,
                            elf_kind_name(own, ours));
        else if (r > 0)
                doctor_sayf(d, MODULE_CHECK, VERDICT_BAD,
                            "reinstall libnss-k8shsvc at once: every lookup may kill its program",
                            "%s is damaged: loading it ends a program by signal %d", MODULE, r);
        else if (r < 0)
                doctor_sayf(d, MODULE_CHECK, VERDICT_UNKNOWN, NULL, "it can't be tried: %s", strerror(-r));
        else if (module_libraries_any(MODULE, module_see, &seen) &&
                 !module_libraries_any(MODULE, module_is_of_kind, (void *)own))
                doctor_sayf(d, MODULE_CHECK, VERDICT_BAD, MODULE_MEND,
                            "%s is of the wrong architecture: %s, programs are %s", seen.path,
                            elf_kind_name(&seen.kind, theirs), elf_kind_name(own, ours));
        else
                doctor_sayf(d, MODULE_CHECK, VERDICT_BAD,
                            seen.path[0] ? "reinstall libnss-k8shsvc" : "install libnss-k8shsvc",
                            "%s can't be loaded: %s", MODULE, why);
}

/* ---- of other architectures ---- */

struct others {
        struct doctor *doctor;
        struct elf_kind said[8]; /* kinds that need no other word */
        size_t n_said;
};

/* A C library; its programs need a module. */
static bool module_check_libc(void *user, const char *path, const struct elf_kind *kind)
{
        struct others *o = user;
        char name[32];

        for (size_t i = 0; i < o->n_said; i++) {
                if (elf_kind_equal(&o->said[i], kind))
                        return false;
        }
        if (o->n_said < sizeof(o->said) / sizeof(o->said[0]))
                o->said[o->n_said++] = *kind;
        if (module_libraries_any(MODULE, module_is_of_kind, (void *)kind))
                doctor_sayf(o->doctor, MODULE_CHECK, VERDICT_OK, NULL, "there is one for %s",
                            elf_kind_name(kind, name));
        else
                doctor_sayf(o->doctor, MODULE_CHECK, VERDICT_UNKNOWN, MODULE_MEND ", if there are such programs",
                            "there is none for %s, the architecture of %s", elf_kind_name(kind, name), path);
        return false;
}

static void module_check_others(struct doctor *d, const struct elf_kind *own)
{
        struct others others = { .doctor = d, .said = { *own }, .n_said = 1 };

        (void)module_libraries_any("libc.so.6", module_check_libc, &others);
}

/* ---- of another process ---- */

static void module_check_theirs(struct doctor *d, const struct eyes *e)
{
        struct elf_kind theirs = { e->elf_class, e->elf_machine };
        char path[1024], name[32], other[32];
        struct elf_kind kind;
        struct seen seen = { 0 };
        const char *slash = strrchr(e->libc_path, '/');

        if (e->libc != EYES_GLIBC)
                return;
        (void)snprintf(path, sizeof(path), "%.*s/%s", slash ? (int)(slash - e->libc_path) : 0, e->libc_path, MODULE);
        if (elf_read_kind(path, &kind) == 0 && elf_kind_equal(&kind, &theirs))
                doctor_sayf(d, MODULE_CHECK, VERDICT_OK, NULL, "%s (%s)", path, elf_kind_name(&kind, name));
        else if (module_libraries_any(MODULE, module_is_of_kind, &theirs))
                doctor_sayf(d, MODULE_CHECK, VERDICT_OK, NULL, "%s for %s is where ld.so looks", MODULE,
                            elf_kind_name(&theirs, name));
        else if (module_libraries_any(MODULE, module_see, &seen))
                doctor_sayf(d, MODULE_CHECK, VERDICT_BAD, MODULE_MEND " in its image",
                            "%s is of the wrong architecture: %s, the program is %s", seen.path,
                            elf_kind_name(&seen.kind, other), elf_kind_name(&theirs, name));
        else
                doctor_sayf(d, MODULE_CHECK, VERDICT_BAD,
                            "install libnss-k8shsvc in its image, or mount the module there",
                            "%s is not where the process's ld.so looks", MODULE);
}

void doctor_check_module(struct doctor *d)
{
        struct elf_kind own;

        if (d->eyes) {
                module_check_theirs(d, d->eyes);
        } else if (elf_read_kind("/proc/self/exe", &own) == 0) {
                module_check_own(d, &own);
                module_check_others(d, &own);
        } else {
                doctor_say(d, MODULE_CHECK, VERDICT_UNKNOWN, "/proc/self/exe can't be read", NULL);
        }
}

void doctor_check_libc(struct doctor *d)
{
        const struct eyes *e = d->eyes;

        if (!e)
                return;
        if (e->libc == EYES_GLIBC)
                doctor_sayf(d, "libc", VERDICT_OK, NULL, "%s (%d) uses glibc: %s", e->program, e->pid, e->libc_path);
        else if (e->libc == EYES_MUSL)
                doctor_sayf(d, "libc", VERDICT_BAD, "let it resolve through DNS as before, or use libk8shsvc",
                            "%s (%d) uses musl, which has no NSS: modules are never asked", e->program, e->pid);
        else if (e->libc == EYES_STATIC)
                doctor_sayf(
                        d, "libc", VERDICT_BAD, "build it with glibc and dynamically (Go: CGO_ENABLED=1, netdns=cgo)",
                        "%s (%d) is a static program: it resolves by itself and asks no module", e->program, e->pid);
        else
                doctor_sayf(d, "libc", VERDICT_UNKNOWN, "run doctor as root", "%s (%d) can't be looked at", e->program,
                            e->pid);
}
