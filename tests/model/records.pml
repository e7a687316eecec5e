/*
 * Records of two keys in one table: the reader of lib/read/view.c against the writer of
 * lib/write/record/record.c and the next one after it was killed, both sequentially consistent (what weaker
 * memories add is interleave.c's). Blocks are used again at once, by either key; entries go from key
 * to key. The writer does any operations in any order.
 *
 * A record is its key and a version twice: a torn one has two versions.
 * That odd numbers and keys are looked at as well can't be shown to matter here: without reordering, and
 * with a tag of its own for each key, the second look at ref would do.
 *
 *     NO_SEQ_AGAIN    seq is not looked at after the copy
 *     NO_REF_AGAIN    another key behind the ref: on to the next entry, whatever happened meanwhile
 *     NO_REF_AFTER    the record found need not be the published one any more, or yet
 *     SEQ_FIRST       the ref is looked at again after the last look at seq: it may have come back
 *     PUBLISH_FIRST   the ref before the record
 *     SEQ_PLUS_ONE    seq + 1 where seq | 1 belongs
 *     ADOPT_ALL_FREE  the next writer takes every block for free
 */

#define N_BLOCKS 3
#define ENTRIES  2
#define OPS      3
#define CRASHES  1
#define FINDS    2
#define TRIES    1

#define K 1
#define L 2

byte tag[ENTRIES], ref[ENTRIES]; /* ref: 1 + block */
byte seq[N_BLOCKS], key[N_BLOCKS], one[N_BLOCKS], two[N_BLOCKS];

/* What is true, for the assertions. */
byte published[3];  /* by key: its version, 0: not there */
bool was_absent;    /* K was not there since the reader looked last */
bool finished;
byte version, crashes, ops;

#ifdef SEQ_PLUS_ONE
#define TO_ODD(s) (s + 1)
#else
#define TO_ODD(s) (s | 1)
#endif

#define REFERRED(b) (ref[0] == b + 1 || ref[1] == b + 1)
#ifdef ADOPT_ALL_FREE
#define IS_FREE(b) (!REFERRED(b) || crashes > 0)
#else
#define IS_FREE(b) (!REFERRED(b))
#endif

inline may_die()
{
        if
        :: crashes < CRASHES -> crashes++; goto next_writer
        :: true
        fi
}

inline write_block()
{
        s = TO_ODD(seq[b]);
        seq[b] = s;
        may_die();
        atomic { key[b] = k; one[b] = version };
        may_die();
        two[b] = version;
        may_die();
        seq[b] = s + 1
}

inline publish()
{
        if
        :: tag[e] != k ->
                ref[e] = 0;
                tag[e] = k
        :: else
        fi;
        d_step { ref[e] = b + 1; published[k] = version }
}

/* The entry of a key, or the first free one. */
inline find_entry()
{
        d_step {
                if
                :: ref[0] != 0 && tag[0] == k -> e = 0
                :: else ->
                        if
                        :: ref[1] != 0 && tag[1] == k -> e = 1
                        :: else -> e = (ref[0] == 0 -> 0 : 1)
                        fi
                fi
        }
}

proctype writer()
{
        byte k, e, b, s;

next_writer:
        do
        :: ops < OPS ->
                atomic {
                        ops++; s = 0; b = 0;
                        if
                        :: k = K
                        :: k = L
                        fi;
                        find_entry()
                }
                if
                :: ref[e] != 0 && tag[e] == k ->
                        d_step {
                                ref[e] = 0; published[k] = 0;
                                was_absent = was_absent || k == K
                        }
                :: true ->
                        atomic {
                        version++;
                        if
                        :: IS_FREE(0) -> b = 0
                        :: IS_FREE(1) -> b = 1
                        :: IS_FREE(2) -> b = 2
                        fi
                        }
#ifdef PUBLISH_FIRST
                        publish();
                        write_block()
#else
                        write_block();
                        may_die();
                        publish()
#endif
                fi
        :: else -> break
        od;
        finished = true
}

#ifdef NO_REF_AFTER
#define NO_REF_AFTER_RULE true
#else
#define NO_REF_AFTER_RULE false
#endif
#ifdef NO_REF_AGAIN
#define NO_REF_AGAIN_RULE true
#else
#define NO_REF_AGAIN_RULE false
#endif

inline look_at_seq()
{
#ifndef NO_SEQ_AGAIN
        if
        :: seq[r - 1] != s -> again = true; break
        :: else
        fi
#else
        skip
#endif
}

/* The record is the published one: before, another may have been, and after it, too. */
inline look_at_ref()
{
        if
        :: k == K && NO_REF_AFTER_RULE
        :: k != K && NO_REF_AGAIN_RULE
        :: else ->
                if
                :: ref[e] != r -> again = true; break
                :: else
                fi;
                if
                :: tag[e] != K -> again = true; break
                :: else
                fi
        fi
}

/* found: 0 not there, else the version; or busy */
inline find()
{
        tries = 0;
        do
        :: tries == TRIES -> busy = true; break
        :: else ->
                d_step { tries++; again = false; found = 0; e = 0 }
                do
                :: e == ENTRIES || tag[e] == 0 -> break
                :: else ->
                        if
                        :: tag[e] == K ->
                                r = ref[e];
                                if
                                :: r == 0 -> goto next_entry
                                :: else
                                fi;
                                atomic {
                                        s = seq[r - 1];
                                        if
                                        :: s & 1 -> again = true; break
                                        :: else
                                        fi
                                }
                                atomic { k = key[r - 1]; v1 = one[r - 1] }
                                v2 = two[r - 1];
#ifdef SEQ_FIRST
                                look_at_seq();
                                look_at_ref();
#else
                                look_at_ref();
                                look_at_seq();
#endif
                                if
                                :: k == K -> found = v1; break
                                :: else
                                fi
                        :: else
                        fi;
next_entry:             e++
                od;
                if
                :: again
                :: else -> break
                fi
        od
}

proctype reader()
{
        byte n, tries, e, r, s, k, v1, v2, found, seen, at_start;
        bool again, busy, was_finished;

        do
        :: n < FINDS ->
                d_step {
                        n++;
                        busy = false;
                        was_absent = published[K] == 0;
                        at_start = published[K];
                        was_finished = finished;
                        v1 = 0; v2 = 0; k = 0; s = 0
                }
                find();
                if
                :: busy -> assert(!was_finished)
                :: !busy && found == 0 -> assert(was_absent)
                :: !busy && found != 0 ->
                        assert(k == K);
                        assert(v1 == v2);
                        assert(found >= seen && found >= at_start);
                        seen = found
                fi
        :: else -> break
        od
}

/* K is there to begin with. */
init {
        atomic {
                version = 1;
                key[0] = K; one[0] = 1; two[0] = 1; seq[0] = 2;
                tag[0] = K; ref[0] = 1;
                published[K] = 1;
                run writer();
                run reader()
        }
}
