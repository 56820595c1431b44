/* Any bytes as a notification, which is then heard by a server that looks and by one that leads;
 * and as a hello. */
#include "base/assert.h"
#include "zab/election_message.h"
#include "zab/fast_election.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hear(struct fast_election *election, const struct zk_election_notification *heard)
{
    struct fast_election_effects effects;
    for (int64_t from = 0; from <= 4; from++)
        fast_election_on_notification(election, 100, from, heard, &effects);
    fast_election_on_wake(election, 1000, &effects);
    fast_election_on_notification(election, 1001, 2, heard, &effects);
}

static void vote(const struct zk_election_notification *heard)
{
    struct ensemble ensemble;
    struct fast_election election;
    struct fast_election_effects effects;
    ensemble_init(&ensemble);
    for (int64_t id = 1; id <= 3; id++) {
        const struct ensemble_member member = {
            .id = id, .is_voter = true, .group = -1, .weight = 1};
        const enum err err = ensemble_add(&ensemble, &member);
        assert(err == ERR_OK);
    }
    fast_election_init(
        &election,
        (struct fast_election_options){
            .self_id = 1, .wait_ms_min = 200, .wait_ms_max = 60000, .finalize_ms = 200},
        &ensemble);
    fast_election_look(&election, (struct fast_election_start){0}, &effects);
    hear(&election, heard);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zk_election_notification heard;
    struct election_hello hello;
    if (election_message_decode(slice_of(data, size), &heard) == ERR_OK)
        vote(&heard);
    if (size >= election_hello_bytes_min && election_hello_decode(data, &hello) == ERR_OK)
        assert(hello.address_bytes <= election_hello_address_bytes_max);
    return 0;
}
