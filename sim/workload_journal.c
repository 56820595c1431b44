/* The journal alone: numbered records are appended, synced, rolled, cut, dropped and read back,
 * while processes and power die. After each death:
 *
 * - every record whose append was reported durable is there, byte for byte, in order;
 * - every other one is there whole, or it is not, and then none behind it is;
 * - nothing that was cut or dropped for good comes back, and no older record of the same number.
 */
#include "base/bytes.h"
#include "base/checksum.h"
#include "journal/journal_reader.h"
#include "journal/small_file.h"
#include "sim/workload.h"

enum {
    record_count_max = 8192,
    payload_bytes_max = 6000,
    record_head_bytes = 20, /* size, crc, number, generation */
    open_count_max = 24,
    process_count_max = 12,
    reader_bytes = 16384,
};

static const uint64_t ns_per_ms = 1000000;
static const uint64_t run_ns_max = 600000000000;

/* What must be there. It lives outside of the processes. */
struct oracle {
    struct prng prng;
    uint32_t generation;
    uint32_t generations[record_count_max]; /* Of the record with this number, as last submitted. */
    struct journal_position ends[record_count_max]; /* Of the record, as last submitted or found. */
    uint64_t durable_next;                          /* All before must be there. */
    uint64_t submitted_next;                        /* None from here on can be there. */
    uint64_t first_gone;                            /* All before it were dropped for good. */
    uint64_t first_kept;                            /* This one was never asked to go. */
    uint32_t steps_left;
    bool is_finished;
};

/* One run. */
struct play {
    const struct sim_workload_options *options;
    struct sim_workload_result *result;
    struct sim *sim;
    struct oracle oracle;
    struct slice header;
    struct journal_options journal_options;
};

/* One process. */
struct player {
    struct play *play;
    struct oracle *oracle;
    struct sim_node *node;
    struct io *io;
    struct journal_disk disk;
    struct journal journal;
    uint64_t next;
    uint32_t open_count;
    bool is_dropping;
    uint64_t drop_base;
    struct journal_request drop;
    uint8_t buffer[reader_bytes];
};

struct record {
    struct journal_append append;
    struct player *player;
    uint64_t number;
    struct iovec vectors[2];
    uint8_t head[record_head_bytes];
    uint8_t payload[];
};

/* Any number of bytes that only this record has. */
static size_t make_payload(uint64_t number, uint32_t generation, uint8_t *payload)
{
    struct prng prng;
    prng_init(&prng, number << 32 | generation);
    const bool is_large = prng_chance(&prng, 1, 8);
    const size_t size = prng_between(&prng, 1, is_large ? payload_bytes_max : 200);
    for (size_t at = 0; at < size; at++)
        payload[at] = (uint8_t)prng_next(&prng);
    return size;
}

static void make_head(uint8_t head[record_head_bytes], uint64_t number, uint32_t generation,
                      struct slice payload)
{
    store_u32(head, (uint32_t)payload.size);
    store_u64(head + 8, number);
    store_u32(head + 16, generation);
    const uint32_t crc = checksum_crc32c(0, slice_of(head + 8, record_head_bytes - 8));
    store_u32(head + 4, checksum_crc32c(crc, payload));
}

static struct record *make_record(struct player *player, uint64_t number)
{
    struct record *record =
        heap_take_zeroed(&player->node->heap, sizeof *record + payload_bytes_max);
    assert(record != NULL);
    const uint32_t generation = player->oracle->generations[number];
    const size_t size = make_payload(number, generation, record->payload);
    make_head(record->head, number, generation, slice_of(record->payload, size));
    record->player = player;
    record->number = number;
    record->vectors[0] = (struct iovec){record->head, record_head_bytes};
    record->vectors[1] = (struct iovec){record->payload, size};
    return record;
}

/* ---- Recovery. ---- */

struct found {
    struct journal_position end;
    uint64_t next;
    uint64_t first;
    uint64_t count;
    bool is_any;
};

/* The next record, whole and sound: its size, or 0. */
static size_t peek_record(struct journal_reader *reader, struct slice *record)
{
    struct slice head;
    if (journal_reader_peek(reader, record_head_bytes, &head) != ERR_OK ||
        head.size < record_head_bytes)
        return 0;
    const size_t payload_size = load_u32(head.data);
    const size_t size = record_head_bytes + payload_size;
    if (payload_size == 0 || payload_size > payload_bytes_max ||
        journal_reader_peek(reader, size, record) != ERR_OK || record->size < size)
        return 0;
    const uint32_t crc = checksum_crc32c(0, slice_of(record->data + 8, size - 8));
    return crc == load_u32(record->data + 4) ? size : 0;
}

static void check_record(struct player *player, struct slice record, uint64_t number)
{
    struct play *play = player->play;
    uint8_t payload[payload_bytes_max];
    uint8_t head[record_head_bytes];
    if (number >= player->oracle->submitted_next) {
        sim_workload_wrong(play->result, play->sim, "record %llu was never appended",
                           (unsigned long long)number);
        return;
    }
    const uint32_t generation = player->oracle->generations[number];
    const size_t size = make_payload(number, generation, payload);
    make_head(head, number, generation, slice_of(payload, size));
    if (record.size != record_head_bytes + size ||
        memcmp(record.data, head, record_head_bytes) != 0 ||
        memcmp(record.data + record_head_bytes, payload, size) != 0)
        sim_workload_wrong(play->result, play->sim,
                           "record %llu is another one than was appended last (generation %u)",
                           (unsigned long long)number, load_u32(record.data + 16));
}

/* Reads one segment from its header on. False: it, or what is behind it, is not to be trusted. */
static bool scan_segment(struct player *player, struct journal_segment *segment,
                         struct found *found)
{
    struct journal_reader reader;
    if (journal_reader_open(&reader, segment, 0, player->buffer, sizeof player->buffer) != ERR_OK)
        return false;
    const struct slice header = player->play->header;
    struct slice head = {0};
    const bool is_sound = journal_reader_peek(&reader, header.size, &head) == ERR_OK &&
                          slice_equal(head, header.size == 0 ? head : header) &&
                          (!found->is_any || segment->base == found->next);
    if (is_sound) {
        if (!found->is_any)
            found->first = segment->base;
        found->is_any = true;
        found->next = segment->base;
        journal_reader_skip(&reader, header.size);
        found->end = (struct journal_position){segment->base, header.size};
    }
    struct slice record;
    for (size_t size = 1; is_sound && (size = peek_record(&reader, &record)) > 0;) {
        if (load_u64(record.data + 8) != found->next || found->next >= record_count_max)
            break;
        check_record(player, record, found->next);
        journal_reader_skip(&reader, size);
        found->end.offset += size;
        player->oracle->ends[found->next] = found->end;
        found->next++;
        found->count++;
    }
    journal_reader_close(&reader);
    return is_sound;
}

static struct found scan(struct player *player)
{
    struct found found = {0};
    for (struct journal_segment *segment = journal_segment_first(&player->journal); segment != NULL;
         segment = journal_segment_next(segment))
        if (!scan_segment(player, segment, &found))
            break;
    return found;
}

static void check_found(struct player *player, struct found *found)
{
    struct oracle *oracle = player->oracle;
    struct play *play = player->play;
    if (!found->is_any) {
        found->next = oracle->durable_next;
        found->first = min_u64(max_u64(oracle->first_gone, found->next), oracle->first_kept);
    }
    if (found->next < oracle->durable_next || (!found->is_any && oracle->durable_next > 1))
        sim_workload_wrong(
            play->result, play->sim, "records end at %llu, but all before %llu were durable",
            (unsigned long long)found->next, (unsigned long long)oracle->durable_next);
    if (found->next > oracle->submitted_next)
        sim_workload_wrong(play->result, play->sim, "records go on to %llu; %llu was the last",
                           (unsigned long long)found->next,
                           (unsigned long long)oracle->submitted_next - 1);
    if (found->first < oracle->first_gone || found->first > oracle->first_kept)
        sim_workload_wrong(play->result, play->sim, "records begin at %llu, not in %llu to %llu",
                           (unsigned long long)found->first, (unsigned long long)oracle->first_gone,
                           (unsigned long long)oracle->first_kept);
}

/* True: the journal is open, as the oracle wants it. */
static bool recover(struct player *player)
{
    struct oracle *oracle = player->oracle;
    struct play *play = player->play;
    const int64_t made = small_file_make_directory_wait(player->io, "/data");
    const enum err loaded = made < 0 ? ERR_IO : journal_load(&player->journal);
    if (loaded != ERR_OK && play->sim->faults.sync_error_per_million > 0)
        return false;
    if (loaded != ERR_OK) {
        sim_workload_wrong(play->result, play->sim, "cannot load: %s", err_text(loaded));
        return false;
    }
    struct found found = scan(player);
    check_found(player, &found);
    if (play->result->verdict != SIM_RIGHT)
        return false;
    const enum err started = journal_start(
        &player->journal, (struct journal_start_options){.end = found.end, .sync_base = 0});
    if (started != ERR_OK) {
        sim_workload_wrong(play->result, play->sim, "cannot start: %s", err_text(started));
        return false;
    }
    /* What was found is synced now: it must stay. */
    player->next = found.next;
    oracle->durable_next = found.next;
    oracle->submitted_next = found.next;
    oracle->first_gone = min_u64(found.first, found.next);
    oracle->first_kept = oracle->first_gone;
    oracle->generation++;
    return true;
}

/* ---- What a process does. ---- */

static void on_appended(struct journal_append *append, enum err err)
{
    struct record *record = CONTAINER_OF(append, struct record, append);
    struct player *player = record->player;
    struct oracle *oracle = player->oracle;
    assert(err == ERR_OK);
    if (append->is_durable) {
        if (record->number < oracle->durable_next && record->number >= player->next)
            sim_workload_wrong(player->play->result, player->play->sim, "done twice");
        oracle->durable_next = max_u64(oracle->durable_next, record->number + 1);
    }
    player->open_count--;
    heap_give(&player->node->heap, record);
}

static void wait_until_open_is(struct player *player, uint32_t count)
{
    while (player->open_count > count)
        io_run(player->io, UINT64_MAX);
}

static void append(struct player *player)
{
    struct oracle *oracle = player->oracle;
    if (player->next == record_count_max)
        return;
    wait_until_open_is(player, open_count_max);
    oracle->generations[player->next] = oracle->generation;
    struct record *record = make_record(player, player->next);
    record->append = (struct journal_append){
        .vectors = record->vectors,
        .vector_count = 2,
        .is_durable = prng_chance(&oracle->prng, 3, 4),
        .done = on_appended,
    };
    oracle->submitted_next = player->next + 1;
    player->open_count++;
    const enum err err = journal_append(&player->journal, &record->append);
    assert(err == ERR_OK);
    oracle->ends[player->next] = (struct journal_position){
        .base = record->append.segment->base,
        .offset = record->append.offset + record->append.size,
    };
    player->next++;
}

static void roll(struct player *player)
{
    struct journal_segment *last = journal_segment_last(&player->journal);
    if (last != NULL && last->base >= player->next)
        return;
    const enum err err = journal_roll(&player->journal, player->next);
    assert(err == ERR_OK);
}

struct waited_request {
    struct journal_request request;
    bool is_done;
};

static void on_waited(struct journal_request *request, enum err err)
{
    assert(err == ERR_OK);
    CONTAINER_OF(request, struct waited_request, request)->is_done = true;
}

static void sync_all(struct player *player)
{
    struct waited_request *waited = heap_take_zeroed(&player->node->heap, sizeof *waited);
    waited->request.done = on_waited;
    const uint64_t next = player->next;
    journal_sync(&player->journal, &waited->request);
    while (!waited->is_done)
        io_run(player->io, UINT64_MAX);
    player->oracle->durable_next = max_u64(player->oracle->durable_next, next);
    heap_give(&player->node->heap, waited);
}

static void on_dropped(struct journal_request *request, enum err err)
{
    struct player *player = CONTAINER_OF(request, struct player, drop);
    assert(err == ERR_OK);
    player->is_dropping = false;
    player->oracle->first_gone = player->drop_base;
}

static void drop(struct player *player)
{
    struct oracle *oracle = player->oracle;
    if (player->is_dropping || journal_segment_first(&player->journal) == NULL)
        return;
    const uint64_t number = prng_between(&oracle->prng, oracle->first_kept, player->next);
    const struct journal_segment *segment = journal_segment_at(&player->journal, number);
    player->is_dropping = true;
    player->drop.done = on_dropped;
    player->drop_base = segment->base;
    oracle->first_kept = segment->base;
    if (prng_chance(&oracle->prng, 1, 2))
        journal_drop(&player->journal, &player->drop, number);
    else
        journal_drop_unlinked(&player->journal, &player->drop, number);
}

static void wait_for_drop(struct player *player)
{
    while (player->is_dropping)
        io_run(player->io, UINT64_MAX);
}

static void truncate(struct player *player)
{
    struct oracle *oracle = player->oracle;
    wait_until_open_is(player, 0);
    wait_for_drop(player);
    if (player->next <= oracle->first_kept + 1)
        return;
    const uint64_t last = prng_between(&oracle->prng, oracle->first_kept, player->next - 1);
    struct waited_request *waited = heap_take_zeroed(&player->node->heap, sizeof *waited);
    waited->request.done = on_waited;
    oracle->durable_next = min_u64(oracle->durable_next, last + 1);
    journal_truncate(&player->journal, &waited->request, oracle->ends[last]);
    while (!waited->is_done)
        io_run(player->io, UINT64_MAX);
    heap_give(&player->node->heap, waited);
    oracle->submitted_next = last + 1;
    player->next = last + 1;
    oracle->generation++;
    /* Rolled, empty segments behind the cut are gone: what is left is durable or not as before. */
}

struct reading {
    struct journal_read read;
    int64_t result;
    bool is_done;
    uint8_t bytes[record_head_bytes + payload_bytes_max];
};

static void on_read(struct journal_read *read, int64_t result)
{
    struct reading *reading = CONTAINER_OF(read, struct reading, read);
    reading->result = result;
    reading->is_done = true;
}

/* Reads one written record back. */
static void read_back(struct player *player)
{
    struct oracle *oracle = player->oracle;
    wait_until_open_is(player, 0);
    wait_for_drop(player);
    if (player->next <= oracle->first_kept)
        return;
    const uint64_t number = prng_between(&oracle->prng, oracle->first_kept, player->next - 1);
    const struct journal_position end = oracle->ends[number];
    struct journal_segment *segment = journal_segment_find(&player->journal, end.base);
    struct record *record = make_record(player, number);
    const uint64_t size = record_head_bytes + record->vectors[1].iov_len;
    struct reading *reading = heap_take_zeroed(&player->node->heap, sizeof *reading);
    uint64_t got = 0;
    assert(segment != NULL);
    while (got < size) {
        reading->is_done = false;
        reading->read.done = on_read;
        journal_segment_read(segment, &reading->read, reading->bytes + got, size - got,
                             end.offset - size + got);
        while (!reading->is_done)
            io_run(player->io, UINT64_MAX);
        if (reading->result <= 0)
            break;
        got += (uint64_t)reading->result;
    }
    if (got != size || memcmp(reading->bytes, record->head, record_head_bytes) != 0)
        sim_workload_wrong(player->play->result, player->play->sim, "record %llu reads as another",
                           (unsigned long long)number);
    heap_give(&player->node->heap, reading);
    heap_give(&player->node->heap, record);
}

static void take_step(struct player *player)
{
    const uint64_t choice = prng_below(&player->oracle->prng, 100);
    if (choice < 62)
        append(player);
    else if (choice < 72)
        io_run(player->io, prng_below(&player->oracle->prng, 3) * ns_per_ms);
    else if (choice < 76)
        wait_until_open_is(player, 0);
    else if (choice < 85)
        roll(player);
    else if (choice < 89)
        sync_all(player);
    else if (choice < 93)
        drop(player);
    else if (choice < 96)
        truncate(player);
    else
        read_back(player);
}

static void close_journal(struct player *player)
{
    wait_until_open_is(player, 0);
    struct waited_request *waited = heap_take_zeroed(&player->node->heap, sizeof *waited);
    waited->request.done = on_waited;
    journal_close(&player->journal, &waited->request);
    while (!waited->is_done)
        io_run(player->io, UINT64_MAX);
    player->oracle->durable_next = player->next;
}

static void process(struct sim_node *node, void *argument)
{
    struct play *play = argument;
    struct player *player = heap_take_zeroed(&node->heap, sizeof *player);
    assert(player != NULL);
    player->play = play;
    player->oracle = &play->oracle;
    player->node = node;
    player->io = node->io;
    const enum err err = journal_disk_init(
        &player->disk, node->io, &node->heap, node->diag,
        (struct journal_disk_options){.path = "/data", .writer_count = 2, .handle_count_max = 2});
    assert(err == ERR_OK);
    journal_init(&player->journal, &player->disk, play->journal_options);
    const uint64_t boundaries_before = node->disk.boundary_count;
    if (!recover(player))
        return;
    if (play->result->recovery_boundary_count == 0 && play->result->boundary_count > 0)
        play->result->recovery_boundary_count = node->disk.boundary_count - boundaries_before;
    if (journal_segment_last(&player->journal) == NULL)
        roll(player);
    while (play->oracle.steps_left > 0 && play->result->verdict == SIM_RIGHT) {
        play->oracle.steps_left--;
        take_step(player);
    }
    close_journal(player);
    play->oracle.is_finished = true;
}

/* ---- The run. ---- */

static void draw_journal_options(struct play *play)
{
    struct prng *prng = &play->oracle.prng;
    if (prng_chance(prng, 1, 2))
        play->header = SLICE_LITERAL("a header of 16 b");
    play->journal_options = (struct journal_options){
        .path = "/data",
        .naming = prng_chance(prng, 1, 2) ? journal_naming_keeper : journal_naming_broker,
        .header = play->header,
        .allocate_step_bytes = prng_chance(prng, 1, 2) ? 16384 : 0,
        .allocate_sparse = prng_chance(prng, 1, 2),
    };
}

/* Lets the process run until it is down, or kills it at some time. False: it is stuck. */
static bool live(struct play *play, bool may_kill)
{
    struct sim_node *node = play->sim->nodes[0];
    struct prng *prng = &play->oracle.prng;
    sim_node_start(node, process, play);
    if (!may_kill)
        return sim_node_wait(node, play->sim->now_ns + run_ns_max);
    const uint64_t life_ns = prng_below(prng, 400 * ns_per_ms);
    if (sim_node_wait(node, play->sim->now_ns + life_ns))
        return true;
    if (prng_chance(prng, 1, 3))
        sim_node_kill(node);
    else
        sim_node_lose_power(node, SIM_LOSS_RANDOM);
    return true;
}

static void judge_end(struct play *play)
{
    struct sim_workload_result *result = play->result;
    const struct sim_node *node = play->sim->nodes[0];
    const bool may_fail = play->sim->faults.sync_error_per_million > 0 ||
                          play->sim->faults.write_error_per_million > 0;
    if (result->verdict == SIM_RIGHT && node->end == SIM_NODE_FATAL && !may_fail) {
        result->verdict = SIM_CRASHED;
        memcpy(result->why, node->fatal_line, sizeof result->why);
    }
}

static void run_swarm(struct play *play)
{
    for (int life = 0; life < process_count_max && play->result->verdict == SIM_RIGHT; life++) {
        live(play, true);
        judge_end(play);
        /* After a failed sync the kernel's pages cannot be trusted: only a restart of the machine
         * shows what is durable. */
        if (play->sim->nodes[0]->end == SIM_NODE_FATAL)
            sim_node_lose_power(play->sim->nodes[0], SIM_LOSS_RANDOM);
    }
    play->sim->faults.sync_error_per_million = 0;
    play->sim->faults.write_error_per_million = 0;
}

static void run_crash(struct play *play)
{
    struct sim_node *node = play->sim->nodes[0];
    const struct sim_workload_options *options = play->options;
    sim_crash_at(node, options->crash_boundary, options->crash_loss);
    const bool is_down = live(play, false);
    play->result->boundary_count = node->disk.boundary_count;
    if (is_down && options->crash_boundary_again > 0 && node->end == SIM_NODE_LOST_POWER) {
        sim_crash_at(node, options->crash_boundary_again, options->crash_loss);
        live(play, false);
        sim_crash_at(node, 0, SIM_LOSS_ALL);
    }
    judge_end(play);
}

static struct sim_workload_result run(const struct sim_workload_options *options)
{
    struct sim_workload_result result = {.verdict = SIM_RIGHT};
    struct sim sim;
    struct prng prng;
    prng_init(&prng, options->seed ^ 0x6a6f75726e616c);
    sim_workload_begin(&sim, options, &prng, 1);
    struct play *play = heap_take_zeroed(&sim.heap, sizeof *play);
    assert(play != NULL);
    play->options = options;
    play->result = &result;
    play->sim = &sim;
    play->oracle.prng = prng;
    play->oracle.durable_next = 1;
    play->oracle.submitted_next = 1;
    play->oracle.first_kept = 1;
    play->oracle.first_gone = 1;
    play->oracle.steps_left = options->steps * (options->is_swarm ? process_count_max : 1);
    draw_journal_options(play);

    if (options->is_swarm)
        run_swarm(play);
    else
        run_crash(play);
    /* At last a quiet life: everything must come to its end. */
    play->oracle.is_finished = false;
    if (result.verdict == SIM_RIGHT && !live(play, false)) {
        sim_workload_stuck(&result, "the process does not end");
    }
    judge_end(play);
    sim_workload_end(&sim, &result);
    return result;
}

const struct sim_workload workload_journal = {.name = "journal", .steps = 80, .run = run};
