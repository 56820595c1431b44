#define _GNU_SOURCE
#include "shard/mailbox.h"
#include "shard/shard.h"
#include "shard/thread.h"
#include "test/unit_test.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct heap heap; /* Of the main thread. */

static const struct shard_options shard_options = {
    .name = "test", .heap_bytes_max = 16 << 20, .diag_level_min = DIAG_WARN};

/* Diag lines. */

static void a_line_has_time_level_and_name(void **state)
{
    (void)state;
    const struct diag_sink sink = {.name = "keeper"};
    char text[diag_sink_text_bytes_max];
    const struct slice line =
        diag_sink_format(&sink, DIAG_INFO, SLICE_LITERAL("text"), 1795339800123, text);
    assert_true(slice_equal_text(line, "2026-11-22T09:30:00.123Z INFO  keeper: text\n"));
}

static struct slice format_json(const char *line, char text[diag_sink_text_bytes_max])
{
    const struct diag_sink sink = {.name = "keeper", .format = DIAG_JSON};
    return diag_sink_format(&sink, DIAG_WARN, slice_from_text(line), 1795339800123, text);
}

static void a_line_of_json_is_always_json(void **state)
{
    (void)state;
    char text[diag_sink_text_bytes_max];
    assert_true(slice_equal_text(
        format_json("a \"b\\", text),
        "{\"time\":\"2026-11-22T09:30:00.123Z\",\"level\":\"warn\",\"service\":\"keeper\","
        "\"text\":\"a \\\"b\\\\\"}\n"));
    static const char *const odd[] = {"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\xa6", /* As it is. */
                                      "\xff\xc3",
                                      "\xc0\x80",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf0\x80\x80\x80",
                                      "\xe2\x82",
                                      "\xe2\x28\xa1"};
    for (size_t index = 0; index < ARRAY_COUNT(odd); index++) {
        const struct slice line = format_json(odd[index], text);
        json_t *json = json_loadb((const char *)line.data, line.size, 0, NULL);
        assert_non_null(json);
        const char *inside = json_string_value(json_object_get(json, "text"));
        assert_int_equal(index == 0, strcmp(inside, odd[index]) == 0);
        json_decref(json);
    }
    /* The longest line of the worst bytes has room. */
    char longest[diag_line_bytes_max + 1];
    memset(longest, 0xff, sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_true(format_json(longest, text).size > 3 * diag_line_bytes_max);
}

static void lines_are_appended_to_a_file(void **state)
{
    (void)state;
    char path[] = "/tmp/rookery-diag-XXXXXX";
    const int handle = mkstemp(path);
    assert_true(handle >= 0);
    for (uint32_t round = 0; round < 2; round++) {
        struct diag_sink sink;
        const struct diag_sink_options options = {
            .name = "broker", .path = path, .level_min = DIAG_INFO};
        assert_int_equal(diag_sink_init(&sink, options), ERR_OK);
        diag_warn(&sink.diag, "round %u\n", round);
        diag_sink_deinit(&sink);
    }
    char text[200] = {0};
    assert_true(read(handle, text, sizeof text - 1) > 0);
    assert_non_null(strstr(text, "Z WARN  broker: round 0?\n2"));
    assert_non_null(strstr(text, "Z WARN  broker: round 1?\n"));
    close(handle);
    assert_int_equal(unlink(path), 0);

    struct diag_sink sink;
    const struct diag_sink_options options = {.name = "broker", .path = "/missing/diag"};
    assert_int_equal(diag_sink_init(&sink, options), ERR_NOT_FOUND);
}

/* A service that counts the messages of its inbox, and echoes each into its outbox if it has one.
 */

enum { message_count = 200000, message_count_max = 64 };

struct message {
    uint64_t number;
    uint64_t complement;
};

struct counter {
    struct shard *shard;
    struct mailbox *inbox;
    uint64_t count;
    bool was_started, was_stopped, was_ended;
};

static void on_message(void *context, const void *data)
{
    struct counter *counter = context;
    const struct message *message = data;
    assert_int_equal(message->number, counter->count);
    assert_int_equal(message->complement, ~counter->count);
    if (++counter->count == message_count)
        shard_stop(counter->shard);
}

static enum err start_counter(struct shard *shard, void *context)
{
    struct counter *counter = context;
    counter->shard = shard;
    counter->was_started = true;
    const struct mailbox_options options = {.message_size = sizeof(struct message),
                                            .message_count_max = message_count_max,
                                            .reader = shard->io,
                                            .on_message = on_message,
                                            .context = counter};
    const enum err err = mailbox_create(&counter->inbox, shard->heap, options);
    if (err == ERR_OK)
        shard_add_inbox(shard, counter->inbox);
    return err;
}

static void stop_counter(struct shard *shard, void *context)
{
    struct counter *counter = context;
    counter->was_stopped = true;
    shard_stop(shard);
}

static void end_counter(struct shard *shard, void *context)
{
    struct counter *counter = context;
    (void)shard;
    counter->was_ended = true;
    mailbox_destroy(counter->inbox);
}

static struct thread_options counter_options(struct counter *counter, enum io_choice choice)
{
    struct thread_options options = {.shard = shard_options,
                                     .start = start_counter,
                                     .stop = stop_counter,
                                     .end = end_counter,
                                     .context = counter};
    options.shard.io_choice = choice;
    return options;
}

static void post_all(struct mailbox *mailbox)
{
    for (uint64_t number = 0; number < message_count;) {
        const struct message message = {.number = number, .complement = ~number};
        if (mailbox_post(mailbox, &message))
            number++;
    }
}

static void messages_cross_threads(enum io_choice choice)
{
    struct counter counter = {0};
    struct thread *thread;
    assert_int_equal(thread_start(&thread, &heap, counter_options(&counter, choice)), ERR_OK);
    assert_true(counter.was_started);
    post_all(counter.inbox);
    assert_int_equal(thread_wait_for_signal(), 15); /* It has stopped by itself. */
    thread_join(thread);
    assert_int_equal(counter.count, message_count);
    assert_true(counter.was_ended && !counter.was_stopped);
    assert_int_equal(heap.block_count, 0);
}

static void messages_cross_threads_in_order(void **state)
{
    (void)state;
    messages_cross_threads(IO_CHOICE_AUTO);
    messages_cross_threads(IO_CHOICE_UV);
}

static void a_full_mailbox_says_so(void **state)
{
    (void)state;
    struct shard shard;
    struct counter counter = {0};
    assert_int_equal(shard_init(&shard, shard_options), ERR_OK);
    assert_int_equal(start_counter(&shard, &counter), ERR_OK);
    for (uint64_t number = 0; number < message_count_max; number++) {
        const struct message message = {.number = number, .complement = ~number};
        assert_true(mailbox_post(counter.inbox, &message));
    }
    const struct message extra = {.number = message_count_max,
                                  .complement = ~(uint64_t)message_count_max};
    assert_false(mailbox_post(counter.inbox, &extra));
    shard_step(&shard, UINT64_MAX);
    assert_int_equal(counter.count, message_count_max);
    assert_true(mailbox_post(counter.inbox, &extra));
    assert_false(mailbox_is_empty(counter.inbox));
    shard_step(&shard, UINT64_MAX);
    assert_int_equal(counter.count, message_count_max + 1);
    end_counter(&shard, &counter);
    shard_deinit(&shard);
}

static void a_thread_stops_when_asked(void **state)
{
    (void)state;
    struct counter counter = {0};
    struct thread *thread;
    assert_int_equal(thread_start(&thread, &heap, counter_options(&counter, IO_CHOICE_AUTO)),
                     ERR_OK);
    thread_ask_stop(thread);
    thread_ask_stop(thread);
    thread_join(thread);
    assert_true(counter.was_stopped && counter.was_ended);
}

static enum err refuse_to_start(struct shard *shard, void *context)
{
    (void)shard;
    (void)context;
    return ERR_CONFIG;
}

static void a_service_that_does_not_start_leaves_nothing(void **state)
{
    (void)state;
    struct counter counter = {0};
    struct thread_options options = counter_options(&counter, IO_CHOICE_AUTO);
    options.start = refuse_to_start;
    struct thread *thread;
    assert_int_equal(thread_start(&thread, &heap, options), ERR_CONFIG);
    options.shard.heap_bytes_max = 100;
    assert_int_equal(thread_start(&thread, &heap, options), ERR_NO_MEMORY);
    assert_false(counter.was_ended);
    assert_int_equal(heap.block_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_and_name),
        cmocka_unit_test(a_line_of_json_is_always_json),
        cmocka_unit_test(lines_are_appended_to_a_file),
        cmocka_unit_test(a_full_mailbox_says_so),
        cmocka_unit_test(messages_cross_threads_in_order),
        cmocka_unit_test(a_thread_stops_when_asked),
        cmocka_unit_test(a_service_that_does_not_start_leaves_nothing),
    };
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20});
    thread_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
