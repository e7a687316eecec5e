#pragma once

/*
 * Writing JSON, value by value, to a stream. Nothing is kept but where commas belong: an array of 10,000 services
 * costs no memory.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json_writer {
        FILE *to;
        bool comma; /* before the next value of this object or array */
};

/* @key: in an object, the value's name; NULL: the value stands in an array, or alone. Keys are ASCII. */
void json_put_open(struct json_writer *w, const char *key, char bracket);
void json_put_close(struct json_writer *w, char bracket);

/* NULL is null. Bytes that are no UTF-8 come out as U+FFFD. */
void json_put_text(struct json_writer *w, const char *key, const char *text);
void json_put_number(struct json_writer *w, const char *key, uint64_t value);
void json_put_bool(struct json_writer *w, const char *key, bool value);
void json_put_null(struct json_writer *w, const char *key);
/* A number that may have a word (view/words.h). */
void json_put_word(struct json_writer *w, const char *key, const char *word, uint64_t value);
/* Three decimals. */
void json_put_decimal(struct json_writer *w, const char *key, double value);
/* Ends the line. */
void json_put_end(struct json_writer *w);
