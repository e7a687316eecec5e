/*
 * Foreseeing glibc's sort, as the module does it. With `all` every address is in the answer, and the nearest ones
 * come first whoever's turn it is; `auto` and N take only those that are no nearer than the first one.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "answer/interfaces.h"
#include "answer/order.h"
#include "ctl/glibc/sorting.h"
#include "read/process.h"
#include "table/policy.h"

#define N_TRIES 8

static struct sorting_score sorting_score(const struct khs_interfaces *look, const struct view_endpoint *e)
{
        struct khs_score score;
        uint32_t words[4];

        memcpy(words, e->address, sizeof(words));
        khs_interfaces_score(look, e->family, words, &score);
        return (struct sorting_score){ .least = score.least, .most = score.most };
}

bool sorting_serves(const struct view_service *service, uint32_t i)
{
        bool four = service->endpoints[i].family == AF_INET;

        return i - (four ? 0 : service->n4) < view_service_n_served(service, four ? AF_INET : AF_INET6);
}

static void sorting_scores(struct sorting *s, const struct view_service *service, const struct khs_interfaces *look)
{
        s->best4 = s->best6 = 0;
        for (uint32_t i = 0; i < s->n; i++) {
                uint16_t *best = service->endpoints[i].family == AF_INET ? &s->best4 : &s->best6;

                s->scores[i] = sorting_score(look, &service->endpoints[i]);
                if (sorting_serves(service, i) && s->scores[i].least > *best)
                        *best = s->scores[i].least;
        }
}

/* The address of the greatest weight in a family. */
static int32_t sorting_winner(const struct sorting *s, const struct view_service *service, const uint8_t host[16],
                              int family)
{
        uint64_t most = 0;
        int32_t winner = -1;

        for (uint32_t i = 0; i < s->n; i++) {
                const struct view_endpoint *e = &service->endpoints[i];
                uint64_t weight = e->family == family ? khs_order_weight(host, family, e->address) : 0;

                if (weight > most) {
                        most = weight;
                        winner = (int32_t)i;
                }
        }
        return winner;
}

int sorting_init(struct sorting *ret, const struct view_service *service)
{
        struct sorting s = { .n = service->n4 + service->n6, .winner4 = -1, .winner6 = -1 };
        struct khs_interfaces look;
        uint8_t host[16];

        s.scores = calloc((size_t)s.n + 1, sizeof(*s.scores));
        if (!s.scores)
                return -ENOMEM;
        khs_process_prepare();
        khs_interfaces_refresh();
        for (int i = 0; i < N_TRIES && !s.known; i++) {
                if (!khs_interfaces_look(&look))
                        break;
                sorting_scores(&s, service, &look);
                if (khs_policy_order(service->policy) == KHS_ORDER_STICKY && khs_interfaces_host(&look, host)) {
                        s.winner4 = sorting_winner(&s, service, host, AF_INET);
                        s.winner6 = sorting_winner(&s, service, host, AF_INET6);
                }
                s.known = khs_interfaces_valid(&look);
        }
        *ret = s;
        return 0;
}

void sorting_deinit(struct sorting *sorting)
{
        free(sorting->scores);
}

uint32_t sorting_answer(const struct sorting *sorting, const struct view_service *service, uint32_t first,
                        uint32_t *ret)
{
        bool four = service->endpoints[first].family == AF_INET;
        uint32_t begin = four ? 0 : service->n4, n = view_service_n_served(service, four ? AF_INET : AF_INET6);
        uint32_t wanted = khs_order_count(service->policy, n), count = 1;

        if (!khs_order_keeps(service->policy) && wanted > 1)
                return n;
        if (!sorting->known)
                wanted = 1;
        ret[0] = first;
        for (uint32_t i = 1; count < wanted && i < n && i < KHS_CANDIDATES; i++) {
                uint32_t other = begin + (first - begin + i) % n;

                if (sorting->scores[other].most <= sorting->scores[first].least)
                        ret[count++] = other;
        }
        return count;
}

bool sorting_keeps_first(const struct sorting *sorting, const struct view_service *service, uint32_t first)
{
        bool four = service->endpoints[first].family == AF_INET;

        return !sorting->known || khs_policy_answers(service->policy) != KHS_ANSWERS_ALL ||
               sorting->scores[first].most >= (four ? sorting->best4 : sorting->best6);
}
