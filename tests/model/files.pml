/*
 * The life of the table's file: daemons that adopt, update, grow and are killed at any step, and
 * readers that move on to a newer file. lib/write/file.c, lib/write/writer.c, lib/read/map.c.
 *
 * A file says one thing, a version, and whether it is filled. Only the living daemon's file has a
 * heartbeat. Time is left out: a reader that may look for a newer file does so at its next lookup, and a
 * file that nobody beats is silent at once.
 *
 *     RENAME_FIRST     the new file gets its name before it is filled
 *     WRITE_OLD        an update goes to the old file after it was copied
 *     FORGET_VERSIONS  the next daemon does not carry versions on
 *     NO_DEAD_RULE     readers look for a newer file only when theirs is marked
 *     NO_MARK          the old file is never marked
 *     BEAT_OLD         the old file's heart goes on
 *
 * LIVENESS: in the end every reader uses the file that has the name.
 */

#define N_FILES 3
#define READERS 2
#define UPDATES 1
#define CRASHES 2

byte name;                     /* the file that has the name; 0: none */
bool filled[N_FILES + 1];
byte version[N_FILES + 1];
bool superseded[N_FILES + 1];
byte n_files, beats, beats_too; /* files whose heart beats */
byte updates, crashes;
byte uses[READERS];            /* the file of each reader */

inline may_die()
{
        if
        :: crashes < CRASHES -> d_step { crashes++; beats = 0; beats_too = 0 }; goto next_daemon
        :: true
        fi
}

/* A new file with what the old one says, if there is one. */
inline replace()
{
        n_files++;
        new = n_files;
        old = name;
#ifdef RENAME_FIRST
        name = new;
        may_die();
#endif
#ifdef FORGET_VERSIONS
        version[new] = 1;
#else
        version[new] = (old -> version[old] : 1);
#endif
        may_die();
#ifdef WRITE_OLD
        if
        :: old != 0 -> version[old]++
        :: else
        fi;
#endif
        filled[new] = true;
        may_die();
#ifdef BEAT_OLD
        beats_too = old;
#endif
        beats = new;
        name = new;
        may_die();
#ifndef NO_MARK
        if
        :: old != 0 -> superseded[old] = true
        :: else
        fi;
        may_die()
#endif
}

active proctype daemon()
{
        byte new, old;

next_daemon:
        if
        :: name != 0 && filled[name] && !superseded[name] -> beats = name /* adopt */
        :: n_files < N_FILES -> replace()
        fi;
        do
        :: updates < UPDATES -> updates++; version[beats]++; may_die()
        :: n_files < N_FILES - 1 -> replace() /* grow */
        :: true -> break
        od
}

#define SILENT(f) (beats != f && beats_too != f)

proctype reader(byte me)
{
        byte seen, v;

end:    do
        :: name != 0 ->
                if
                :: uses[me] == 0 || superseded[uses[me]] -> uses[me] = name
#ifndef NO_DEAD_RULE
                :: SILENT(uses[me]) -> uses[me] = name
#endif
                :: uses[me] != 0 && !superseded[uses[me]] &&
#ifndef NO_DEAD_RULE
                   !SILENT(uses[me])
#else
                   true
#endif
                fi;
                assert(filled[uses[me]]); /* else: not found, though it is there */
                d_step {
                        v = version[uses[me]];
                        assert(v >= seen);
                        seen = v;
                        v = 0
                }
        od
}

init {
        atomic { run reader(0); run reader(1) }
}

#ifdef LIVENESS
ltl ends_on_the_current { <>[] (name != 0 && uses[0] == name && uses[1] == name) }
#endif
