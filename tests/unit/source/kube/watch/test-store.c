/* Slices of one watch: whose they are, what has changed, and what a list leaves. */

#include "kube-fixture.h"

#include <errno.h>
#include <string.h>

#include "source/kube/decode/builder.h"
#include "source/kube/watch/store.h"

static void put(struct kube_store *store, const char *name, const char *service)
{
        struct kube_builder b = { 0 };
        struct kube_slice *slice;

        cr_assert_eq(kube_builder_finish(&b, name, service, true, &slice), 0);
        kube_builder_deinit(&b);
        cr_assert_eq(kube_store_put(store, slice), 0);
}

static void show(void *userdata, const struct kube_stored *service)
{
        char *text = userdata;

        sprintf(text + strlen(text), "%s%s(", text[0] ? " " : "", service->item.name);
        for (size_t i = 0; i < service->n_slices; i++)
                sprintf(text + strlen(text), "%s%s", i > 0 ? "," : "", service->slices[i]->name);
        strcat(text, ")");
}

/* All that has changed, in the order in which it did. */
static const char *changed(struct kube_store *store)
{
        static char text[1024];

        text[0] = '\0';
        while (kube_store_take(store, show, text))
                ;
        return text;
}

Test(kube_store, changes_are_joined)
{
        struct kube_store store;

        kube_store_init(&store);
        cr_assert_str_eq(changed(&store), "");
        put(&store, "web-2", "web");
        put(&store, "db-1", "db");
        put(&store, "web-1", "web");
        put(&store, "web-2", "web");
        cr_assert_str_eq(changed(&store), "web(web-1,web-2) db(db-1)");
        cr_assert_str_eq(changed(&store), "");
        kube_store_remove(&store, "web-1");
        kube_store_remove(&store, "unknown");
        cr_assert_str_eq(changed(&store), "web(web-2)");
        kube_store_remove(&store, "web-2");
        cr_assert(kube_store_get(&store, "web"));
        cr_assert_str_eq(changed(&store), "web()");
        cr_assert_null(kube_store_get(&store, "web"));
        kube_store_touch(&store, "web");
        kube_store_touch(&store, "db");
        cr_assert_str_eq(changed(&store), "db(db-1)");
        kube_store_deinit(&store);
}

Test(kube_store, a_slice_that_changes_its_service)
{
        struct kube_store store;

        kube_store_init(&store);
        put(&store, "x", "web");
        changed(&store);
        put(&store, "x", "db");
        cr_assert_str_eq(changed(&store), "db(x) web()");
        kube_store_deinit(&store);
}

Test(kube_store, a_list_removes_what_it_does_not_name)
{
        struct kube_store store;

        kube_store_init(&store);
        put(&store, "a-1", "a");
        put(&store, "a-2", "a");
        put(&store, "b-1", "b");
        put(&store, "c-1", "c");
        changed(&store);
        kube_store_begin(&store);
        put(&store, "a-2", "a");
        kube_store_begin(&store); /* the first was not finished */
        put(&store, "a-1", "a");
        kube_store_keep(&store, "c-1");
        kube_store_keep(&store, "unknown");
        cr_assert(kube_store_get(&store, "b"));
        kube_store_end(&store);
        cr_assert_str_eq(changed(&store), "a(a-1) b()");
        cr_assert(kube_store_get(&store, "c"));
        kube_store_deinit(&store);
}

Test(kube_store, many)
{
        struct kube_store store;
        size_t n = 0;

        kube_store_init(&store);
        for (int i = 0; i < 20000; i++) {
                char name[32], service[32];

                snprintf(name, sizeof(name), "s%d-%d", i / 2, i % 2);
                snprintf(service, sizeof(service), "s%d", i / 2);
                put(&store, name, service);
        }
        cr_assert_eq(store.services.n_items, 10000);
        for (struct kube_map_item *i = kube_map_next(&store.slices, NULL); i; i = kube_map_next(&store.slices, i))
                n++;
        cr_assert_eq(n, 20000);
        kube_store_begin(&store);
        put(&store, "s7-1", "s7");
        kube_store_end(&store);
        cr_assert_eq(store.slices.n_items, 1);
        cr_assert_eq(kube_store_get(&store, "s7")->n_slices, 1);
        kube_store_deinit(&store);
}

Test(kube_store, the_last_change_counts)
{
        struct kube_store store;

        kube_store_init(&store);
        put(&store, "web-1", "web");
        cr_expect_eq(kube_store_get(&store, "web")->changed_usec, 0);
        kube_store_date(&store, "web", 20);
        kube_store_date(&store, "web", 10);
        kube_store_date(&store, "web", 0);
        kube_store_date(&store, "unknown", 30);
        cr_expect_eq(kube_store_get(&store, "web")->changed_usec, 20);
        kube_store_deinit(&store);
}
