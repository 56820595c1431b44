#include "server/broker/controller_driver.h"

#include "server/broker/controller_cleaner.h"
#include "server/broker/controller_notices.h"
#include "server/broker/controller_writer.h"

static void begin_next(struct controller_driver *driver);

enum {
    rebalance_first_ms = 5000, /* After the beginning of a term, as Apache's controller. */
    retry_ms = 200
};

/* ---- reading under watches ---- */

static void on_listing_fired(struct keeper_watch *watch, enum keeper_event_type type)
{
    struct controller_listing *listing = CONTAINER_OF(watch, struct controller_listing, watch);
    if (type == KEEPER_WATCH_ENDED)
        return;
    listing->is_dirty = true;
    if (!listing->driver->is_draining)
        controller_driver_run(listing->driver);
}

void controller_driver_read(struct controller_listing *listing, enum zk_request_kind kind,
                            void (*done)(struct zk_request *request,
                                         const struct keeper_result *result))
{
    listing->is_dirty = false;
    listing->request.kind = kind;
    listing->request.path = listing->path;
    listing->request.watch = &listing->watch;
    listing->request.done = done;
    listing->driver->open_count++;
    zk_session_send(listing->driver->options.session, &listing->request);
}

static void init_listing(struct controller_driver *driver, struct controller_listing *listing,
                         const char *path)
{
    listing->driver = driver;
    listing->path = path;
    listing->watch.fired = on_listing_fired;
}

static struct controller_listing *const *listings_of(struct controller_driver *driver,
                                                     struct controller_listing *all[])
{
    struct controller_listing *const listings[] = {
        &driver->brokers,        &driver->topics,    &driver->deletions,     &driver->isr_changes,
        &driver->log_dir_events, &driver->elections, &driver->reassignments, NULL};
    memcpy(all, listings, sizeof listings);
    return all;
}

enum { listing_count = 8 }; /* With the end mark. */

/* ---- the steps ---- */

/* What came and went is decided on before what comes again is read. */
static bool step_bounce(struct controller_driver *driver)
{
    if (!driver->has_bounced)
        return false;
    controller_decision_update(&driver->controller);
    controller_writer_write_states(driver);
    if (driver->open_count == 0) {
        driver->has_bounced = false;
        driver->brokers.is_dirty = true;
    }
    return driver->open_count > 0;
}

static bool step_reading(struct controller_driver *driver)
{
    if (driver->brokers.is_dirty)
        controller_follower_list_brokers(driver);
    else if (driver->topics.is_dirty && list_empty(&driver->to_read))
        controller_follower_list_topics(driver); /* Those that wait to be read are not known yet. */
    else if (driver->deletions.is_dirty && list_empty(&driver->to_read))
        controller_cleaner_list(driver);
    else
        return controller_notices_step(driver);
    return true;
}

static bool step_writing(struct controller_driver *driver)
{
    driver->may_write = true;
    controller_decision_update(&driver->controller);
    controller_writer_write_states(driver);
    if (driver->open_count == 0)
        controller_writer_ask(driver);
    if (driver->open_count == 0)
        controller_writer_finish_moves(driver);
    return driver->open_count > 0;
}

/* Begins the next step that has work. False: there is none. */
static bool step(struct controller_driver *driver)
{
    if (!driver->has_begun) {
        driver->has_begun = true;
        controller_notices_begin(driver);
        return true;
    }
    if (step_bounce(driver) || step_reading(driver) || step_writing(driver) ||
        controller_notices_end_elections(driver))
        return true;
    return controller_cleaner_step(driver);
}

/* Fills the pipeline of the step that is under way. */
static void pump(struct controller_driver *driver)
{
    controller_follower_read_topics(driver);
    if (list_empty(&driver->to_read))
        controller_follower_load_states(driver);
    if (driver->may_write && !list_empty(&driver->controller.to_write))
        controller_writer_write_states(driver);
    controller_cleaner_clear_topics(driver);
}

/* Brokers are told only what the controller has decided on: not what it is still reading. */
static void pump_channels(struct controller_driver *driver)
{
    if (driver->is_loading)
        return;
    list_each_safe (link, after, &driver->controller.brokers)
        controller_channel_pump(
            ((struct driver_broker *)CONTAINER_OF(link, struct controller_broker, link)->user)
                ->channel);
}

/* Our own broker knows everything; the others take their time. */
static bool has_told_itself(const struct controller_driver *driver)
{
    const struct controller_broker *self =
        controller_find_broker(&driver->controller, driver->options.broker_id);
    return self == NULL ||
           controller_channel_is_idle(((const struct driver_broker *)self->user)->channel);
}

bool controller_driver_has_told(const struct controller_driver *driver, uint64_t change)
{
    if (!controller_driver_is_at_work(driver))
        return true;
    list_each (link, &driver->controller.brokers) {
        const struct controller_broker *broker = CONTAINER_OF(link, struct controller_broker, link);
        const struct driver_broker *told = broker->user;
        if (broker->metadata_told < change && !controller_channel_is_failing(told->channel))
            return false;
    }
    return true;
}

static void settle(struct controller_driver *driver)
{
    if (driver->is_loading)
        diag_info(driver->options.diag,
                  "the cluster is read: %u brokers, %u topics, %u partitions, in %llu ms",
                  (unsigned)driver->controller.broker_count,
                  (unsigned)driver->controller.topic_count,
                  (unsigned)driver->controller.partition_count,
                  (unsigned long long)(io_now_ns(driver->options.io) - driver->began_ns) / 1000000);
    driver->is_stirred |= driver->is_loading; /* Some steps come only now. */
    driver->is_loading = false;
    if (driver->is_settled || !has_told_itself(driver))
        return;
    driver->is_settled = true;
    driver->handler.on_settled(driver->handler.context);
}

/* ---- preferred leaders ---- */

static void on_rebalance(struct delay *delay)
{
    struct controller_driver *driver = CONTAINER_OF(delay, struct controller_driver, rebalance);
    if (controller_driver_is_at_work(driver))
        controller_decision_rebalance(&driver->controller, driver->options.imbalance_percent);
    delay_queue_add(driver->options.delays, delay,
                    (uint64_t)driver->options.imbalance_check_s * 1000);
    controller_driver_run(driver);
}

/* ---- terms ---- */

static void close_channels(struct controller_driver *driver)
{
    list_each (link, &driver->controller.brokers) {
        struct driver_broker *broker = CONTAINER_OF(link, struct controller_broker, link)->user;
        controller_channel_close(broker->channel);
        broker->channel = NULL;
    }
}

static void free_everything(struct controller_driver *driver)
{
    struct controller_listing *listings[listing_count];
    while (!list_empty(&driver->followed))
        controller_follower_drop_topic(
            CONTAINER_OF(list_first(&driver->followed), struct driver_topic, all));
    while (!list_empty(&driver->controller.brokers))
        controller_follower_drop_broker(
            driver,
            CONTAINER_OF(list_first(&driver->controller.brokers), struct controller_broker, link));
    for (struct controller_listing *const *at = listings_of(driver, listings); *at != NULL; at++)
        keeper_client_disarm(driver->options.session->client, &(*at)->watch);
    controller_deinit(&driver->controller);
    driver->is_active = false;
    driver->is_draining = false;
}

static void do_steps(struct controller_driver *driver)
{
    do {
        driver->is_stirred = false;
        pump(driver);
        if (driver->open_count == 0 && step(driver))
            driver->is_stirred = true;
        else if (driver->open_count == 0)
            settle(driver);
        pump_channels(driver);
    } while (driver->is_stirred && !driver->is_draining);
}

void controller_driver_run(struct controller_driver *driver)
{
    if (!driver->is_active)
        return;
    if (driver->is_in_step) {
        driver->is_stirred = true;
        return;
    }
    driver->is_in_step = true;
    do {
        if (!driver->is_draining)
            do_steps(driver);
        if (!driver->is_draining)
            driver->handler.on_progress(driver->handler.context);
    } while (driver->is_stirred && !driver->is_draining);
    driver->is_in_step = false;
    if (driver->is_draining && controller_driver_is_idle(driver)) {
        free_everything(driver);
        driver->handler.on_progress(driver->handler.context);
        begin_next(driver);
    }
}

static void begin_next(struct controller_driver *driver)
{
    struct controller_listing *listings[listing_count];
    if (!driver->begins_next)
        return;
    driver->begins_next = false;
    if (controller_init(&driver->controller, driver->options.heap,
                        (struct controller_options){
                            .hash_seed = driver->options.hash_seed,
                            .broker_id = driver->options.broker_id,
                            .epoch = driver->epoch_next,
                        }) != ERR_OK) {
        diag_error(driver->options.diag, "no memory for the controller");
        return;
    }
    driver->is_active = true;
    driver->is_loading = true;
    driver->is_settled = false;
    driver->may_write = false;
    driver->has_begun = false;
    driver->has_bounced = false;
    driver->is_checking = false;
    driver->ends_elections = false;
    driver->began_ns = io_now_ns(driver->options.io);
    driver->epoch_version = driver->epoch_version_next;
    for (struct controller_listing *const *at = listings_of(driver, listings); *at != NULL; at++)
        (*at)->is_dirty = true;
    if (driver->options.imbalance_check_s > 0)
        delay_queue_add(driver->options.delays, &driver->rebalance, rebalance_first_ms);
    controller_driver_run(driver);
}

/* ---- for the parts ---- */

void controller_driver_close_one(struct controller_driver *driver, bool is_aside)
{
    uint32_t *count = is_aside ? &driver->aside_count : &driver->open_count;
    assert(*count > 0);
    (*count)--;
    controller_driver_run(driver);
}

void controller_driver_delivered(struct controller_driver *driver)
{
    assert(driver->delivery_count > 0);
    driver->delivery_count--;
    controller_driver_run(driver);
}

bool controller_driver_is_over(struct controller_driver *driver, const struct keeper_result *result)
{
    if (result->code == KEEPER_SESSION_EXPIRED)
        controller_driver_end(driver);
    if (result->code == KEEPER_SYSTEM_ERROR) /* Our client had no memory for it. */
        controller_driver_list_again(driver);
    return driver->is_draining;
}

static void on_retry(struct delay *delay)
{
    struct controller_driver *driver = CONTAINER_OF(delay, struct controller_driver, retry);
    struct controller_listing *listings[listing_count];
    driver->controller.is_due = true;
    for (struct controller_listing *const *at = listings_of(driver, listings); *at != NULL; at++)
        (*at)->is_dirty |= driver->lists_again;
    driver->lists_again = false;
    controller_driver_run(driver);
}

void controller_driver_retry(struct controller_driver *driver)
{
    if (!driver->is_draining && !delay_is_running(&driver->retry))
        delay_queue_add(driver->options.delays, &driver->retry, retry_ms);
}

void controller_driver_list_again(struct controller_driver *driver)
{
    driver->lists_again = true;
    controller_driver_retry(driver);
}

static void on_checked(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_request *op = controller_request_of(request);
    op->driver->is_checking = false;
    controller_request_ignore(request, result);
}

void controller_driver_check(struct controller_driver *driver)
{
    struct controller_request *op =
        driver->is_checking ? NULL : controller_request_acquire(driver, true);
    if (op == NULL)
        return;
    driver->is_checking = true;
    controller_request_send_checked(op, 1, on_checked);
}

/* ---- terms ---- */

void controller_driver_init(struct controller_driver *driver,
                            struct controller_driver_options options,
                            struct controller_driver_handler handler)
{
    *driver = (struct controller_driver){.options = options, .handler = handler};
    driver->rebalance.expired = on_rebalance;
    driver->retry.expired = on_retry;
    init_listing(driver, &driver->brokers, "/brokers/ids");
    init_listing(driver, &driver->topics, "/brokers/topics");
    init_listing(driver, &driver->deletions, "/admin/delete_topics");
    init_listing(driver, &driver->isr_changes, "/isr_change_notification");
    init_listing(driver, &driver->log_dir_events, "/log_dir_event_notification");
    init_listing(driver, &driver->elections, "/admin/preferred_replica_election");
    init_listing(driver, &driver->reassignments, "/admin/reassign_partitions");
    list_init(&driver->followed);
    list_init(&driver->to_read);
    list_init(&driver->to_load);
    list_init(&driver->to_clear);
}

void controller_driver_deinit(struct controller_driver *driver)
{
    assert(controller_driver_is_idle(driver));
    if (driver->is_active)
        free_everything(driver);
}

void controller_driver_begin(struct controller_driver *driver, int32_t epoch, int32_t epoch_version)
{
    driver->epoch_next = epoch;
    driver->epoch_version_next = epoch_version;
    driver->begins_next = true;
    if (!driver->is_active)
        begin_next(driver);
}

void controller_driver_end(struct controller_driver *driver)
{
    driver->begins_next = false;
    if (!driver->is_active || driver->is_draining)
        return;
    driver->is_draining = true;
    close_channels(driver);
    delay_queue_remove(driver->options.delays, &driver->rebalance);
    delay_queue_remove(driver->options.delays, &driver->retry);
    controller_driver_run(driver);
}

bool controller_driver_is_at_work(const struct controller_driver *driver)
{
    return driver->is_active && !driver->is_draining && !driver->is_loading;
}

bool controller_driver_is_idle(const struct controller_driver *driver)
{
    return driver->open_count == 0 && driver->aside_count == 0 && driver->delivery_count == 0;
}

void controller_driver_reconsider(struct controller_driver *driver)
{
    if (!controller_driver_is_at_work(driver))
        return;
    controller_decision_forget_unclean(&driver->controller);
    controller_driver_run(driver);
}

bool controller_driver_is_deleting(const struct controller_driver *driver, struct slice name)
{
    if (!driver->is_active)
        return false;
    const struct controller_topic *topic = controller_find_topic(&driver->controller, name);
    return topic != NULL && topic->deletion != CONTROLLER_KEPT;
}
