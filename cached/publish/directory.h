#pragma once

/*
 * The run directory, and the right to write the table in it. Both are held by descriptor and found by name;
 * directory_check() notices when the two part.
 */

struct directory;

/**
 * directory_new() - open a directory, make it if need be, and become the writer of its table
 *
 * May wait some seconds for another daemon to end whose lock file was removed. Logs why it fails.
 *
 * Return: 0; -EAGAIN: it belongs to another daemon; another negative errno.
 */
int directory_new(struct directory **ret, const char *path);
struct directory *directory_free(struct directory *d);

int directory_fd(const struct directory *d);

/**
 * directory_check() - is it still ours, still the one that programs find, and do they believe the table in it?
 *
 * For the start, once there is a table, and for every heartbeat. Takes the lock anew when its file was removed. Logs
 * why it fails, and when only those programs believe the table that have it mounted read-only.
 *
 * Return: 0; a negative errno: the daemon has to end, and must not touch the table.
 */
int directory_check(struct directory *d);
