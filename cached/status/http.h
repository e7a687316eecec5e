#pragma once

/*
 * An HTTP server for small answers, on the event loop.
 */

#include <microhttpd.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

struct http;

/* A request of GET or HEAD: queues one response. Return: as MHD_queue_response(). */
typedef enum MHD_Result (*http_fn)(void *userdata, struct MHD_Connection *connection, const char *path);

/* Return: 0; -ENOMEM or another negative errno. */
int http_new(struct http **ret, sd_event *event, http_fn fn, void *userdata);
struct http *http_free(struct http *http);

/* Takes over a connection, which does not block; http_run() is to follow. */
void http_add(struct http *http, int fd, const struct sockaddr *address, socklen_t n_address);
void http_run(struct http *http);

/* Answers with one line of text. */
enum MHD_Result http_answer(struct MHD_Connection *connection, unsigned int status, const char *text);
/* Adds the headers that every response has. @type: Content-Type */
void http_dress(struct MHD_Response *response, const char *type);
