/*
 * Maps of one process: lookups pin the current one, a remapper moves on and unmaps what is unused.
 * lib/read/map.c, sequentially consistent as its accesses are.
 *
 * Descriptors are fewer than files, so they are used again while slow readers hold old numbers. Each
 * file has a number; a descriptor's words say which file it maps, 0 none, and are only right once it is
 * filled. The writer publishes a new file now and then; readers that find theirs replaced remap, at
 * most once for each tick of the clock (TRY_DS).
 *
 *     NO_RECHECK   the current map is not looked at again after the pin    must fail
 *     NO_PIN       nothing is pinned                                       must fail
 *     NO_LOCK      two may change the maps at a time                       must fail
 *     CURRENT_FIRST  the descriptor becomes current before it is filled    must fail
 *     IN_USE       an unused descriptor is one whose map is not current    must fail
 */

#define N_MAPS  2
#define N_FILES 3
#define READERS 2
#define LOOKUPS 2
#define TRIES   2

byte name = 1;      /* the file that has the name */
byte current;       /* 1 + descriptor; 0: none */
byte mapped[N_MAPS], file[N_MAPS]; /* under the lock; file is what the view shows */
bool filled[N_MAPS];
byte pins[N_MAPS];
bool lock;
byte clock = 1, last_try;

#ifdef IN_USE
#define IGNORE_PINS true
#else
#define IGNORE_PINS false
#endif
#ifdef NO_LOCK
#define NO_LOCK_RULE true
#else
#define NO_LOCK_RULE false
#endif

/* Two loads: current first, then the pins. */
inline look_unused()
{
        unused = current != i + 1;
        if
        :: unused && !IGNORE_PINS -> unused = pins[i] == 0
        :: else
        fi
}

inline unmap_retired()
{
        i = 0;
        do
        :: i < N_MAPS ->
                if
                :: mapped[i] ->
                        look_unused();
                        if
                        :: unused -> d_step { filled[i] = false; file[i] = 0 } mapped[i] = 0
                        :: else
                        fi
                :: else
                fi;
                i++
        :: else -> break
        od
}

inline remap()
{
        if
        :: last_try != clock ->
                /* a try-lock: the loser goes on with what there is */
                d_step { got = !lock || NO_LOCK_RULE; lock = true }
                if
                :: got ->
                        now = clock;
                        if
                        :: last_try != now ->
                                c = current;
                                unmap_retired();
                                i = 0;
                                do
                                :: i < N_MAPS ->
                                        unused = false;
                                        if
                                        :: !mapped[i] -> look_unused()
                                        :: else
                                        fi;
                                        if
                                        :: unused -> break
                                        :: else -> i++
                                        fi
                                :: else -> break
                                od;
                                if
                                :: i < N_MAPS ->
                                        n = name; /* open */
                                        if
                                        :: c != 0 && file[c - 1] == n -> skip /* it is still the same */
                                        :: else ->
#ifdef CURRENT_FIRST
                                                current = i + 1;
#endif
                                                assert(!filled[i]); /* nobody else fills it */
                                                file[i] = n;
                                                filled[i] = true;
                                                mapped[i] = 1;
                                                current = i + 1;
                                                unmap_retired()
                                        fi
                                :: else /* all are held by lookups */
                                fi;
                                last_try = now
                        :: else
                        fi;
                        lock = false
                :: else
                fi
        :: else
        fi
}
/* result: 1 + descriptor, or 0 */
inline pin_current()
{
        tries = 0;
        result = 0;
        do
        :: tries < TRIES ->
                c = current;
                if
                :: c == 0 -> break
                :: else
                fi;
#ifndef NO_PIN
                pins[c - 1]++;
#endif
#ifdef NO_RECHECK
                result = c;
                break;
#else
                if
                :: current == c -> result = c; break
                :: else
#ifdef NO_PIN
#else
                        -> pins[c - 1]--
#endif
                fi;
#endif
                tries++
        :: else -> break
        od
}

inline unpin(c)
{
#ifndef NO_PIN
        pins[c - 1]--;
#else
        skip;
#endif
}

active [READERS] proctype reader()
{
        byte lookup, i, c, n, now, tries, result, seen, mine;
        bool got, unused;

        do
        :: lookup < LOOKUPS ->
                pin_current();
                if
                :: result != 0 ->
                        assert(filled[result - 1]); /* reads the state word */
                        if
                        :: file[result - 1] == name -> goto look
                        :: else -> unpin(result)
                        fi
                :: else
                fi;
                remap();
                pin_current();
                if
                :: result == 0 -> goto done
                :: else
                fi;
look:           /* Three looks at the map: it is there, and it is one file all the time. */
                mine = file[result - 1];
                assert(filled[result - 1] && mine != 0);
                assert(filled[result - 1] && file[result - 1] == mine);
                assert(mine >= seen); /* never back to an older file */
                seen = mine;
                unpin(result);
done:           lookup++
        :: else -> break
        od
}

active proctype writer()
{
        do
        :: name < N_FILES -> name++
        :: clock < 3 -> clock++
        :: else -> break
        od
}
