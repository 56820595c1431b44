#include "shard/postbox.h"

#include "shard/shard.h"
#include "shard/thread.h"
#include "test/unit_test.h"

enum { slot_count = 16, letter_count = 100, subject_count = 8000 };

static struct heap heap; /* Of the main thread. */

static const struct shard_options shard_options = {
    .name = "test", .heap_bytes_max = 16 << 20, .diag_level_min = DIAG_WARN};

struct item {
    struct letter letter;
    uint64_t number;
};

struct reader {
    struct shard *shard;
    struct mailbox *inbox;
    uint64_t count;
};

static void on_message(void *context, const void *message)
{
    struct reader *reader = context;
    const struct mail *mail = message;
    const struct item *item = mail->subject;
    assert_int_equal(mail->kind, 7);
    assert_int_equal(item->number, reader->count);
    reader->count++;
}

static void make_inbox(struct reader *reader, struct shard *shard)
{
    reader->shard = shard;
    assert_int_equal(ERR_OK,
                     mailbox_create(&reader->inbox, shard->heap,
                                    (struct mailbox_options){.message_size = sizeof(struct mail),
                                                             .message_count_max = slot_count,
                                                             .reader = shard->io,
                                                             .on_message = on_message,
                                                             .context = reader}));
    shard_add_inbox(shard, reader->inbox);
}

static void post(struct postbox *postbox, struct item *item, uint64_t number)
{
    item->number = number;
    postbox_post(postbox, &item->letter, (struct mail){.subject = item, .kind = 7});
}

/* A reader that does not read delays letters; none is lost, and they stay in their order. */
static void what_finds_no_room_comes_later(void **state)
{
    static struct item items[letter_count];
    struct shard shard;
    struct reader reader = {0};
    struct postbox postbox;
    (void)state;
    assert_int_equal(shard_init(&shard, shard_options), ERR_OK);
    make_inbox(&reader, &shard);
    postbox_init(&postbox, shard.io, reader.inbox);
    for (uint64_t number = 0; number < letter_count; number++) {
        post(&postbox, &items[number], number);
        assert_int_equal(postbox_is_empty(&postbox), number < slot_count);
    }
    assert_int_equal(reader.count, 0);
    while (reader.count < letter_count)
        shard_step(&shard, UINT64_MAX);
    assert_true(postbox_is_empty(&postbox));
    post(&postbox, &items[0], letter_count); /* The way is free again. */
    assert_true(postbox_is_empty(&postbox));
    shard_step(&shard, UINT64_MAX);
    assert_int_equal(reader.count, letter_count + 1);
    mailbox_destroy(reader.inbox);
    shard_deinit(&shard);
}

/* Two shards that send everything back and forth, with fewer slots than letters. */

struct side {
    struct shard *shard;
    struct mailbox *inbox;
    struct postbox out;
    uint64_t count;
    bool is_main;
};

static struct item balls[letter_count];
static struct side sides[2];

static void on_ball(void *context, const void *message)
{
    struct side *side = context;
    const struct mail *mail = message;
    struct item *ball = mail->subject;
    ball->number++; /* Whoever has it writes it. */
    side->count++;
    if (!side->is_main || side->count <= subject_count - letter_count)
        postbox_post(&side->out, &ball->letter, (struct mail){.subject = ball});
    else if (side->count == subject_count)
        shard_stop(side->shard);
}

static enum err start_side(struct shard *shard, void *context)
{
    struct side *side = context;
    side->shard = shard;
    const enum err err =
        mailbox_create(&side->inbox, shard->heap,
                       (struct mailbox_options){.message_size = sizeof(struct mail),
                                                .message_count_max = slot_count,
                                                .reader = shard->io,
                                                .on_message = on_ball,
                                                .context = side});
    if (err == ERR_OK)
        shard_add_inbox(shard, side->inbox);
    return err;
}

static void stop_side(struct shard *shard, void *context)
{
    (void)context;
    shard_stop(shard);
}

static void end_side(struct shard *shard, void *context)
{
    struct side *side = context;
    (void)shard;
    mailbox_destroy(side->inbox);
}

static void letters_cross_threads(void **state)
{
    struct shard shard;
    struct thread *thread;
    (void)state;
    memset(sides, 0, sizeof sides);
    sides[0].is_main = true;
    assert_int_equal(shard_init(&shard, shard_options), ERR_OK);
    assert_int_equal(start_side(&shard, &sides[0]), ERR_OK);
    assert_int_equal(thread_start(&thread, &heap,
                                  (struct thread_options){.shard = shard_options,
                                                          .start = start_side,
                                                          .stop = stop_side,
                                                          .end = end_side,
                                                          .context = &sides[1]}),
                     ERR_OK);
    postbox_init(&sides[0].out, shard.io, sides[1].inbox);
    postbox_init(&sides[1].out, sides[1].shard->io, sides[0].inbox); /* It sleeps until a letter. */
    for (uint32_t i = 0; i < letter_count; i++) {
        balls[i].number = 0;
        postbox_post(&sides[0].out, &balls[i].letter, (struct mail){.subject = &balls[i]});
    }
    shard_run(&shard);
    thread_ask_stop(thread);
    thread_join(thread);
    assert_int_equal(sides[0].count, subject_count);
    assert_int_equal(sides[1].count, subject_count);
    end_side(&shard, &sides[0]);
    shard_deinit(&shard);
    assert_int_equal(heap.block_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_finds_no_room_comes_later),
        cmocka_unit_test(letters_cross_threads),
    };
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20});
    return cmocka_run_group_tests(tests, NULL, NULL);
}
