#pragma once

/*
 * The shared table, format 1: the contract between the daemon that writes it and every process
 * that reads it. This header is the specification.
 *
 * The table is one file, RUNDIR/table.v1, on a tmpfs. It is fully allocated when it is created, keeps its
 * geometry for life, and is never truncated or punched:
 *
 *     page 0         header      static part (0..1023) | live words, one cache line per purpose
 *     idx_off_pg     index       2^idx_log2 entries of 8 bytes; a bucket of 8 is a cache line
 *     ridx_off_pg    reverse     the same, from address to index entry; only if header.flags says so
 *     arena_off_pg   arena       units of 64 bytes, cut into blocks; a block holds one record
 *
 * Everything is little-endian and has the same offsets for 32-bit and 64-bit programs. Shared
 * words are 32 bits wide, because a 32-bit reader can't load 64 bits atomically from a read-only map.
 * Addresses are in network byte order, as in struct in_addr and struct in6_addr.
 *
 * A record lives in an immutable block. An update fills a fresh block and publishes it by a single 32-bit
 * store to the entry's ref. The old block is reused no sooner than KHS_GRACE_DS later, and its seq tells a
 * slow reader that it was. Entries never move within a file. Growth, another hash key or another static field
 * needs a new file, which is filled and renamed over the name before the old one is marked
 * KHS_STATE_SUPERSEDED.
 *
 * Compatibility: `major` is part of the file's name and must match. A higher `minor` only gives meaning to bytes
 * that were zero. A reader refuses a file with an unknown bit in flags_incompat and ignores
 * flags_compat. Old modules in container images read the tables of new daemons, so nothing here changes
 * its meaning within major 1.
 *
 * Times are deciseconds (0.1 s) modulo 2^32, compared by signed difference (13.6 years).
 */

#include <stddef.h>
#include <stdint.h>

#define KHS_TABLE_NAME "table.v1"

#define KHS_MAGIC  0x31565348U /* "HSV1" */
#define KHS_ENDIAN 0x01020304U
#define KHS_MAJOR  1U
#define KHS_MINOR  0U

#define KHS_TABLE_PAGE     4096U
#define KHS_HEADER_SIZE    4096U
#define KHS_STATIC_SIZE    1024U
#define KHS_UNIT           64U
#define KHS_UNIT_WORDS     16U
#define KHS_BUCKET_ENTRIES 8U
#define KHS_IDX_LOG2_MIN   3U
#define KHS_IDX_LOG2_MAX   24U
#define KHS_RIDX_LOG2_MAX  26U
#define KHS_PROBE_MAX      16U /* the most buckets that a reader searches */
#define KHS_PROBE_DEFAULT  8U  /* the buckets within which our writer places an entry */
#define KHS_MAX_ADDRS      5000U
#define KHS_MAX_UNITS      16384U     /* largest block: 1 MiB */
#define KHS_MAX_FILE_PAGES (2U << 20) /* 8 GiB */
#define KHS_KEY_MAX        253U
#define KHS_GRACE_DS       20  /* a freed block is not reused for 2 s */
#define KHS_BEAT_DS        10  /* period of the heartbeat */
#define KHS_SILENT_DS      100 /* after 10 s of silence readers look for a newer file */

enum khs_flags_compat { KHS_FLAGS_COMPAT_NONE = 0 };
#define KHS_FLAGS_INCOMPAT_KNOWN 0U

/* header.flags */
#define KHS_FLAG_REVERSE 1U

/* The static part: written before the file gets its name, and never again. */
struct khs_table_static {
        uint32_t magic;
        uint32_t endian;
        uint16_t major;
        uint16_t minor;
        uint32_t header_size;
        uint32_t flags_incompat;
        uint32_t flags_compat;
        uint32_t file_pages; /* must be st_size / 4096 */
        uint32_t idx_off_pg;
        uint32_t idx_log2; /* log2 of the number of entries */
        uint32_t ridx_off_pg;
        uint32_t ridx_log2; /* 0: no reverse index */
        uint32_t arena_off_pg;
        uint32_t arena_units;
        uint32_t max_probe;   /* buckets; every entry is found within so many */
        uint32_t max_addr;    /* of one family in one record */
        uint32_t generation;  /* +1 with each new file */
        uint8_t hash_key[16]; /* of SipHash-1-3; random for each file */
        uint8_t boot_id[16];
        uint32_t zone_len;
        char zone[256];         /* the cluster domain, "cluster.local" */
        uint32_t checksum;      /* CRC-32C of bytes 0..1023, this word being 0 */
        uint32_t orphan_max_ds; /* readers give up on a daemon that has been silent for so long */
        uint32_t flags;         /* KHS_FLAG_* */
        uint8_t namespace_len;  /* of callers without a search domain; 0: none */
        char namespace[63];
        uint8_t node_zone_len;
        char node_zone[63];
        uint8_t node_name_len;
        char node_name[255];
        uint8_t reserved[272]; /* zero */
};

_Static_assert(offsetof(struct khs_table_static, file_pages) == 24, "format");
_Static_assert(offsetof(struct khs_table_static, arena_units) == 48, "format");
_Static_assert(offsetof(struct khs_table_static, generation) == 60, "format");
_Static_assert(offsetof(struct khs_table_static, hash_key) == 64, "format");
_Static_assert(offsetof(struct khs_table_static, boot_id) == 80, "format");
_Static_assert(offsetof(struct khs_table_static, zone_len) == 96, "format");
_Static_assert(offsetof(struct khs_table_static, checksum) == 356, "format");
_Static_assert(offsetof(struct khs_table_static, orphan_max_ds) == 360, "format");
_Static_assert(offsetof(struct khs_table_static, namespace_len) == 368, "format");
_Static_assert(offsetof(struct khs_table_static, node_zone_len) == 432, "format");
_Static_assert(offsetof(struct khs_table_static, node_name_len) == 496, "format");
_Static_assert(offsetof(struct khs_table_static, reserved) == 752, "format");
_Static_assert(sizeof(struct khs_table_static) == KHS_STATIC_SIZE, "format");

/* header.state */
enum khs_state {
        KHS_STATE_LIVE = 1,
        KHS_STATE_SUPERSEDED = 2, /* a newer file has the name: open that */
        KHS_STATE_CLOSED = 3,     /* this format is no longer written */
};

/* The header page. The words behind the static part change under their readers; see table/atomic.h. */
struct khs_table_header {
        struct khs_table_static fixed;

        uint32_t state; /* store-release, load-acquire */
        uint32_t pad_state[15];

        uint32_t beat_count;   /* store-release after the two times */
        uint32_t beat_boot_ds; /* CLOCK_BOOTTIME of the last beat */
        uint32_t beat_real_ds; /* CLOCK_REALTIME of the last beat */
        uint32_t writer_pid;   /* for people */
        uint32_t pad_beat[12];

        uint32_t changes; /* futex word: +1 with each batch of publishes */
        uint32_t pad_changes[15];

        /* For the tool, relaxed. */
        uint32_t n_services;
        uint32_t n_addresses;
        uint32_t free_units;
        uint32_t n_refused; /* registrations refused for lack of room */
        uint32_t pad_stats[12];

        uint8_t reserved[2816];
};

_Static_assert(offsetof(struct khs_table_header, state) == 1024, "format");
_Static_assert(offsetof(struct khs_table_header, beat_count) == 1088, "format");
_Static_assert(offsetof(struct khs_table_header, changes) == 1152, "format");
_Static_assert(offsetof(struct khs_table_header, n_services) == 1216, "format");
_Static_assert(sizeof(struct khs_table_header) == KHS_HEADER_SIZE, "format");

/*
 * An index entry. tag = high 32 bits of the key's hash | 1; 0 = never used, which ends a search.
 * ref = 1 + first unit of the record's block; 0 = deleted. The low bits of the hash number the first
 * bucket; further ones follow in order and wrap around.
 */
struct khs_entry {
        uint32_t tag;
        uint32_t ref;
};

_Static_assert(sizeof(struct khs_entry) == 8, "format");

/* record.key: length of the key in the low 8 bits, flags above */
#define KHS_KEY_LEN_MASK       0xffU
#define KHS_REC_ALIAS          (1U << 8)  /* the payload is the key of another record; never a chain of them */
#define KHS_REC_HOSTS_COMPLETE (1U << 9)  /* every host name of every address is known */
#define KHS_REC_TRUNCATED      (1U << 10) /* the source had more than fits */
#define KHS_REC_V4_UNKNOWN     (1U << 11) /* never resolved, or older than max-stale */
#define KHS_REC_V6_UNKNOWN     (1U << 12)
#define KHS_REC_NOT_HEADLESS   (1U << 13) /* DNS would answer with a cluster IP: for the next daemon */

/* record.policy: answers (16 bits), order (8), family (8) */
#define KHS_ANSWERS_AUTO 0U
#define KHS_ANSWERS_ALL  0xffffU

enum khs_order { KHS_ORDER_ROTATE, KHS_ORDER_RANDOM, KHS_ORDER_STICKY, KHS_ORDER_ZONE, KHS_ORDER_NODE };
enum khs_family { KHS_FAMILY_ANY, KHS_FAMILY_IPV4, KHS_FAMILY_IPV6 };

/* record.status: state, reason, source (8 bits each) */
enum khs_service_state {
        KHS_SERVICE_PENDING, /* registered, never resolved */
        KHS_SERVICE_FRESH,
        KHS_SERVICE_STALE,   /* the last good answer, unconfirmed since `since_ds` */
        KHS_SERVICE_EMPTY,   /* the source says: no endpoints */
        KHS_SERVICE_EXPIRED, /* the last good answer is older than max-stale */
};

enum khs_reason {
        KHS_REASON_NONE,
        KHS_REASON_TIMEOUT, /* no server answered */
        KHS_REASON_REFUSED, /* connection or query refused */
        KHS_REASON_SERVFAIL,
        KHS_REASON_NXDOMAIN,
        KHS_REASON_NODATA,
        KHS_REASON_FOREIGN,      /* a negative answer of a server that does not know the cluster */
        KHS_REASON_MALFORMED,    /* an unreadable answer, or one to another question */
        KHS_REASON_TRUNCATED,    /* more addresses than the transport carries */
        KHS_REASON_FILTERED,     /* only addresses that can't be a pod's */
        KHS_REASON_NO_SERVER,    /* no DNS server is known */
        KHS_REASON_RESTART,      /* adopted from the table of the previous daemon */
        KHS_REASON_TLS,          /* the API server and we do not trust each other */
        KHS_REASON_UNAUTHORIZED, /* 401 */
        KHS_REASON_FORBIDDEN,    /* 403 */
        KHS_REASON_API,          /* another status of the API, or a broken watch */
        KHS_REASON_NO_SLICE,     /* no EndpointSlice has the service's name */
        KHS_REASON_NONE_READY,   /* it has endpoints, but none that `include` admits */
};

enum khs_source { KHS_SOURCE_DNS = 1, KHS_SOURCE_KUBERNETES, KHS_SOURCE_STATIC };

/*
 * A record's block: this header, then the payload, which is the key, padded with zeros to whole words; n4 x 4
 * bytes; n6 x 16 bytes; the attributes if attrs is not 0. The payload of an alias is its own key, then a word
 * with the length of its target's key, then that key. The rest of the block is zero.
 *
 * The addresses of each family are sorted bytewise, without duplicates. If some are near (see struct khs_attrs), those
 * come first, sorted, and the others follow, sorted.
 *
 * seq is odd while the block is being written and even while it is valid; +2 with each use.
 * fresh_until_ds, stale_until_ds, status, since_ds and ttl_s may be stored to a published block, each
 * by one relaxed store that is meaningful by itself; the CRC does not cover them.
 */
struct khs_record {
        uint32_t seq;
        uint32_t units; /* set once, when the block is cut from the arena */
        uint32_t key;   /* length and KHS_REC_* */
        uint32_t n4;
        uint32_t n6;
        uint32_t policy;
        uint32_t fresh_until_ds; /* CLOCK_BOOTTIME of the writer */
        uint32_t stale_until_ds;
        uint32_t version; /* +1 with each change of a key, across files */
        uint32_t tag;     /* the entry's, for adoption */
        uint32_t crc;     /* CRC-32C: the words that read/crc.h names, then the block to its end */
        uint32_t attrs;   /* word offset of the attributes in the block; 0: none */
        uint32_t status;
        uint32_t since_ds; /* start of the state */
        uint32_t ttl_s;
        uint32_t port; /* default port in the low 16 bits; 0: none, or it differs by endpoint */
};

_Static_assert(offsetof(struct khs_record, n4) == 12, "format");
_Static_assert(offsetof(struct khs_record, policy) == 20, "format");
_Static_assert(offsetof(struct khs_record, version) == 32, "format");
_Static_assert(offsetof(struct khs_record, attrs) == 44, "format");
_Static_assert(offsetof(struct khs_record, status) == 48, "format");
_Static_assert(offsetof(struct khs_record, port) == 60, "format");
_Static_assert(sizeof(struct khs_record) == KHS_UNIT, "format");

/*
 * Attributes: this head, its parts in this order, each starting on a word. Offsets are in words
 * from the head; the end of a part is the start of the next.
 *
 *     rows       n4 + n6 x struct khs_attr_row, in the order of the addresses; then n_shared more
 *     by_host    16-bit row numbers sorted by host name (bytewise), then by the row of their address: as
 *                many as rows, 0xffff behind the last one with a host; then, for each shared row, the number of
 *                the row that has its address, never falling; padded with 0xffff
 *     row_ports  a 16-bit port for each row, padded with 0: its default where it has no port set, because there are
 *                more than can be numbered; 0: none. row_ports 0: no such part
 *     nodes      a string offset for each node number, counted from 1
 *     zones      a string offset for each zone number, counted from 1
 *     port_sets  a word for each port set, counted from 1: first port (high 16 bits), count (low 16);
 *                the first port of an endpoint's set is its default, where record.port and port_base are 0
 *     ports      struct khs_attr_port
 *     strings    each: a length byte, then the bytes; a string offset counts bytes from here and
 *                is never 0, since the pool begins with a zero word
 *
 * The head may be shorter than this one: it ends where the rows begin, and words that it lacks are 0.
 *
 * Near addresses are those of the own node or zone. With KHS_ORDER_ZONE and KHS_ORDER_NODE, readers serve only the near
 * addresses of a family, and all where none is near. Readers that do not know n_near4 and n_near6 serve all.
 *
 * A shared row is a further endpoint that has the address of another row: pods in their node's network, which differ
 * by port. An address stands in the record once all the same, and its row is that of the endpoint whose
 * host name is the first of them (bytewise). n4 + n6 + n_shared is at most 2 * KHS_MAX_ADDRS.
 */
struct khs_attrs {
        uint32_t rows;
        uint32_t by_host;
        uint32_t nodes;
        uint32_t zones;
        uint32_t port_sets;
        uint32_t ports;
        uint32_t strings;
        uint32_t end;
        uint16_t port_base; /* an endpoint with an ordinal has this + ordinal as its default port; 0: no such */
        uint16_t n_shared;
        uint16_t n_near4, n_near6; /* how many addresses of each family are near */
        uint32_t row_ports;
};

/* attr_row.state, the low 8 bits; above them the ordinal */
#define KHS_ATTR_READY       1U
#define KHS_ATTR_SERVING     2U
#define KHS_ATTR_TERMINATING 4U

#define KHS_ORDINAL_SHIFT 8
#define KHS_ORDINAL_MAX   0xfffffeU
#define KHS_ORDINAL_NONE  0xffffffU

struct khs_attr_row {
        uint32_t host;    /* string offset; 0: none */
        uint16_t node;    /* 0: unknown */
        uint8_t zone;     /* 0: unknown */
        uint8_t port_set; /* 0: none */
        uint32_t state;   /* KHS_ATTR_* in 8 bits, the ordinal or KHS_ORDINAL_NONE in 24 */
};

struct khs_attr_port {
        uint16_t number;
        uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP */
        uint8_t reserved;
        uint32_t name; /* string offset; 0: unnamed */
};

_Static_assert(offsetof(struct khs_attrs, n_shared) == 34, "format");
_Static_assert(offsetof(struct khs_attrs, n_near4) == 36, "format");
_Static_assert(offsetof(struct khs_attrs, row_ports) == 40, "format");
_Static_assert(sizeof(struct khs_attrs) == 44, "format");
_Static_assert(sizeof(struct khs_attr_row) == 12, "format");
_Static_assert(sizeof(struct khs_attr_port) == 8, "format");
