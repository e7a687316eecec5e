/*
 * Questions, byte by byte.
 */

#include <criterion/criterion.h>
#include <string.h>

#include "dns-fixture.h"

#define NAME "user-svc.default.svc.cluster.local"

static struct dns_question ask(uint16_t type, bool udp)
{
        return question_of(NAME, type, udp);
}

Test(dns_question, query_is_what_the_rfc_says)
{
        static const uint8_t opt[] = { 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0 };
        struct dns_question tcp = ask(DNS_TYPE_AAAA, false), udp = ask(DNS_TYPE_A, true);
        const char wire[] = "\x08user-svc\x07"
                            "default\x03svc\x07"
                            "cluster\x05local";

        cr_assert_eq(tcp.n, 12 + sizeof(wire) + 4);
        cr_assert_arr_eq(tcp.packet, "\x5a\x5a\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
        cr_assert_arr_eq(tcp.packet + 12, wire, sizeof(wire));
        cr_assert_arr_eq(tcp.packet + 12 + sizeof(wire), "\x00\x1c\x00\x01", 4);
        cr_assert_eq(udp.n, tcp.n + 11);
        cr_assert_eq(udp.packet[11], 1);
        cr_assert_arr_eq(udp.packet + udp.n - 11, opt, 11);
        cr_assert(udp.dress == (DNS_MIXED_CASE | DNS_EDNS) && tcp.dress == DNS_PLAIN);
        cr_assert_arr_neq(udp.packet + 12, wire, sizeof(wire));
        cr_assert_eq(strncasecmp((char *)udp.packet + 13, "user-svc", 8), 0);
}

Test(dns_question, without_edns_it_has_no_record)
{
        struct dns_question question;
        struct dns_name name;
        uint8_t random[DNS_RANDOM_SIZE] = { 0xff, 0xff, 0xff };

        cr_assert_eq(dns_name_parse(&name, NAME), 0);
        dns_question_build(&question, &name, DNS_TYPE_A, DNS_MIXED_CASE, random);
        cr_assert_eq(question.n, 12 + name.n + 4);
        cr_assert_arr_eq(question.packet + 6, "\0\0\0\0\0\0", 6);
        cr_assert_eq(question.packet[13], 'U');
        name = dns_question_name(&question);
        cr_assert_eq(name.wire[1], 'u', "in lower case again");
        cr_assert_eq(dns_question_type(&question), DNS_TYPE_A);
}
