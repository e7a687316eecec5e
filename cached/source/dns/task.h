#pragma once

/*
 * Tasks: each asks one question after the other, for as long as its owner wants.
 *
 * struct dns_tasks holds what they share: who is due, how many questions a second, how many in flight, and
 * what is owed after an outage. It is the only place that decides when to ask. What is asked, and what an
 * answer means, is the owner's: struct dns_task_class.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <systemd/sd-event.h>

#include "base/due-queue.h"
#include "base/timer.h"
#include "source/dns/schedule.h"
#include "source/dns/transport/pool.h"
#include "wire/answer.h"

#define DNS_FLIGHT_MAX      256U /* questions in flight, all servers together */
#define DNS_HOST_FLIGHT_MAX 32U  /* of them for host names */

enum dns_queue {
        DNS_URGENT, /* first questions and further attempts of a round: no token needed */
        DNS_PACED,  /* refreshing addresses */
        DNS_HOSTS,  /* host names; where both are due, they take turns */
        DNS_N_QUEUES,
};

struct dns_tasks;
struct dns_task;

/* What kind of question; static. */
struct dns_task_class {
        /* What is to be asked. Return: 0; -EINVAL there is no such name; -ENOMEM. */
        int (*question)(struct dns_task *task, struct dns_name *ret_name, uint16_t *ret_type);

        /* Judges a reply. Called for each attempt that is answered, so perhaps more than once a round. */
        struct dns_answer (*read)(struct dns_task *task, const struct dns_question *question, const uint8_t *packet,
                                  size_t n_packet);

        /*
         * The round is over; the task is in no queue. Of a failure, the reason is that of the first
         * attempt. May put it into one, and close or open any.
         */
        void (*done)(struct dns_task *task, const struct dns_answer *answer);

        bool hosts; /* counted as a question for host names; its answers say nothing of the server */
};

struct dns_task {
        struct due_item due;        /* in one of the queues; in none while in flight or waiting */
        TAILQ_ENTRY(dns_task) link; /* in waiting */
        struct dns_query query;
        struct dns_tasks *tasks; /* NULL: closed */
        const struct dns_task_class *class;
        uint8_t queue;   /* enum dns_queue: in which it is, or was last */
        bool cold;       /* nothing is known and no server has replied: exempt from the rate after an outage */
        bool waiting;    /* no server is up */
        bool recovering; /* was waiting; counted in n_recovering */
        bool counted;    /* in n_host_rounds */

        /* of the present round: the attempts for one finding */
        uint8_t n_attempts;
        uint8_t transport;         /* enum dns_transport, of the next attempt */
        uint8_t reason;            /* enum khs_reason, of the first failed attempt */
        uint32_t tried;            /* servers that failed, by their bits */
        uint32_t last;             /* bit of the server that was asked last */
        struct dns_server *server; /* of the current attempt: lives as long as that is in flight */
};

struct dns_task_stats {
        uint64_t n_queries;                          /* attempts sent */
        uint64_t n_host_queries;                     /* of them for host names */
        uint64_t n_answers, n_negatives, n_failures; /* findings of addresses that were reported */
        uint64_t failures[KHS_REASON_RESTART + 1];   /* by enum khs_reason */
};

struct dns_tasks {
        struct dns_pool *pool;
        struct dns_name domain; /* of the cluster */
        uint32_t query_rate;

        struct due_queue queues[DNS_N_QUEUES];
        bool hosts_turn; /* the last token went to an address */
        TAILQ_HEAD(, dns_task) waiting;
        struct timer timer;
        struct dns_bucket bucket;
        struct dns_meter meter;
        uint32_t recovery_rate; /* while catching_up */
        uint64_t recovery_usec; /* when that was set */
        size_t n_tasks, n_flying, n_waiting, n_recovering, n_host_rounds;
        bool catching_up; /* after an outage, until nothing is overdue */
        bool late;        /* the rate cannot keep up, and that was logged */
        bool blocked;     /* a server has no room; the next reply goes on */
        struct dns_task_stats stats;
        uint8_t addrs[KHS_MAX_ADDRS * 16U]; /* of the answer at hand */
};

int dns_tasks_init(struct dns_tasks *tasks, sd_event *event, struct dns_pool *pool);
/* All tasks must have been closed. */
void dns_tasks_deinit(struct dns_tasks *tasks);

/* To be called when a server went down or came up, and after the pool was set. */
void dns_tasks_servers_changed(struct dns_tasks *tasks);

/* Return: 0, or -ENOMEM. Later on nothing of a task can fail for want of memory. */
int dns_task_open(struct dns_task *task, struct dns_tasks *tasks, const struct dns_task_class *class);
/* Ends the round and takes it back into its owner's hands; done() is not called. */
void dns_task_cancel(struct dns_task *task);
/* The same, for good; fine on a task that was never opened. */
void dns_task_close(struct dns_task *task);

/* Lets it ask at @due_usec at the earliest, or moves it, if it is not in the middle of a round. */
void dns_task_put(struct dns_task *task, enum dns_queue queue, uint64_t due_usec);
/* Instead: lets it ask as soon as a server is up, and the rate allows. */
void dns_task_wait(struct dns_task *task);
/* Whether it is in a queue, and when it is due. */
bool dns_task_is_put(const struct dns_task *task, uint64_t *ret_due_usec);
