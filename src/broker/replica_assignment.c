#include "broker/replica_assignment.h"

#include "base/assert.h"

static void sort(struct replica_assignment_broker *brokers, uint32_t count)
{
    for (uint32_t index = 1; index < count; index++) {
        const struct replica_assignment_broker broker = brokers[index];
        uint32_t at = index;
        for (; at > 0; at--) {
            const struct replica_assignment_broker *before = &brokers[at - 1];
            const int order = slice_compare(before->rack, broker.rack);
            if (order < 0 || (order == 0 && before->id < broker.id))
                break;
            brokers[at] = *before;
        }
        brokers[at] = broker;
    }
}

/* Brokers sorted by rack and id become: the first of each rack, the second of each rack, ... */
static void alternate_racks(struct replica_assignment_broker *brokers, uint32_t count)
{
    struct replica_assignment_broker sorted[replica_assignment_broker_count_max];
    memcpy(sorted, brokers, count * sizeof *brokers);
    uint32_t filled = 0;
    for (uint32_t round = 0; filled < count; round++) {
        uint32_t place = 0;
        for (uint32_t index = 0; index < count; index++, place++) {
            if (index > 0 && !slice_equal(sorted[index].rack, sorted[index - 1].rack))
                place = 0;
            if (place == round)
                brokers[filled++] = sorted[index];
        }
    }
}

static uint32_t rack_count_of(const struct replica_assignment_broker *brokers, uint32_t count)
{
    uint32_t racks = 0;
    for (uint32_t index = 0; index < count; index++)
        racks += index == 0 || !slice_equal(brokers[index].rack, brokers[index - 1].rack);
    return racks;
}

struct row { /* The replicas of one partition, while it is filled. */
    const struct replica_assignment_broker *brokers;
    uint32_t broker_count;
    uint32_t rack_count;
    uint32_t picked[replica_assignment_broker_count_max]; /* Indexes in brokers. */
    uint32_t count;
};

static bool may_take(const struct row *row, uint32_t candidate)
{
    uint32_t same_rack = 0;
    for (uint32_t index = 0; index < row->count; index++) {
        if (row->picked[index] == candidate)
            return false;
        same_rack +=
            slice_equal(row->brokers[row->picked[index]].rack, row->brokers[candidate].rack);
    }
    /* A second replica for a rack only when every rack has one. */
    return row->rack_count == 0 || same_rack == 0 || row->count >= row->rack_count;
}

static uint32_t place_of(uint32_t leader, uint32_t shift, uint32_t replica, uint32_t broker_count)
{
    const uint32_t distance = 1 + (shift + replica) % (broker_count - 1);
    return (leader + distance) % broker_count;
}

static void fill(struct row *row, uint32_t leader, uint32_t shift, uint32_t replication_factor)
{
    row->count = 0;
    row->picked[row->count++] = leader;
    for (uint32_t replica = 0; row->count < replication_factor; replica++) {
        assert(replica < 2 * row->broker_count);
        const uint32_t candidate = place_of(leader, shift, replica, row->broker_count);
        if (may_take(row, candidate))
            row->picked[row->count++] = candidate;
    }
}

enum err replica_assignment_make(struct replica_assignment_broker *brokers, uint32_t broker_count,
                                 struct replica_assignment_options options, int32_t *replicas)
{
    if (options.replication_factor == 0 || broker_count < options.replication_factor ||
        broker_count > replica_assignment_broker_count_max)
        return ERR_LIMIT;
    uint32_t with_rack = 0;
    for (uint32_t index = 0; index < broker_count; index++)
        with_rack += !slice_is_null(brokers[index].rack);
    if (with_rack != 0 && with_rack != broker_count)
        return ERR_CONFIG;

    sort(brokers, broker_count);
    struct row row = {.brokers = brokers, .broker_count = broker_count};
    if (with_rack > 0) {
        row.rack_count = rack_count_of(brokers, broker_count);
        alternate_racks(brokers, broker_count);
    }
    uint32_t shift = options.shift;
    for (uint32_t index = 0; index < options.partition_count; index++) {
        const uint32_t partition = options.first_partition + index;
        if (partition > 0 && partition % broker_count == 0)
            shift++;
        const uint32_t leader =
            (uint32_t)(((uint64_t)partition + options.start_index) % broker_count);
        fill(&row, leader, shift, options.replication_factor);
        for (uint32_t replica = 0; replica < options.replication_factor; replica++)
            *replicas++ = brokers[row.picked[replica]].id;
    }
    return ERR_OK;
}
