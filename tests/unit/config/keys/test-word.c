/*
 * The word that somebody may have meant.
 */

#include <criterion/criterion.h>

#include "config/keys/word.h"

static const struct config_word words[] = {
        { "rotate", 1 }, { "random", 2 }, { "dns", 3 }, { "query-rate", 4 }, { 0 }
};

Test(config_word, the_nearest_is_offered_and_only_if_it_is_near)
{
        static const struct {
                const char *found;
                const char *hint;
        } cases[] = {
                { "rotate", "; did you mean rotate?" },
                { "ROTATE", "; did you mean rotate?" },
                { "rotaet", "; did you mean rotate?" },
                { "rotatxe", "; did you mean rotate?" },
                { "dsn", "; did you mean dns?" },
                { "queryrat", "; did you mean query-rate?" },
                { "query_rates", "; did you mean query-rate?" },
                { "rando", "; did you mean random?" },
                { "rand", "" },
                { "dn", "" },
                { "", "" },
                { "x", "" },
                { "rate", "" },
                { "rotaterotaterotaterotaterotaterotate", "" },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                cr_expect_str_eq(config_word_hint(words, cases[i].found).text, cases[i].hint, "%s", cases[i].found);
        cr_expect_str_eq(config_word_hint(NULL, "rotate").text, "");
}

Test(config_word, only_the_word_itself_is_found)
{
        cr_expect_eq(config_word_find(words, "random"), &words[1]);
        cr_expect_null(config_word_find(words, "Random"));
        cr_expect_null(config_word_find(words, "rand"));
}
