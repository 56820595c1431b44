#include "server/broker/controller_request.h"

static const char epoch_path[] = "/controller_epoch";

struct controller_request *controller_request_acquire(struct controller_driver *driver,
                                                      bool is_aside)
{
    struct controller_request *op = heap_take_zeroed(driver->options.heap, sizeof *op);
    if (op == NULL) {
        diag_error(driver->options.diag, "no memory for the controller's requests");
        controller_driver_retry(driver);
        return NULL;
    }
    op->driver = driver;
    op->is_aside = is_aside;
    op->request.path = op->path;
    if (is_aside)
        driver->aside_count++;
    else
        driver->open_count++;
    return op;
}

void controller_request_send(struct controller_request *op, enum zk_request_kind kind,
                             void (*done)(struct zk_request *request,
                                          const struct keeper_result *result))
{
    op->request.kind = kind;
    op->request.done = done;
    zk_session_send(op->driver->options.session, &op->request);
}

void controller_request_send_checked(struct controller_request *op, uint32_t op_count,
                                     void (*done)(struct zk_request *request,
                                                  const struct keeper_result *result))
{
    op->ops[0] = (struct keeper_multi_op){
        .kind = KEEPER_MULTI_CHECK,
        .path = epoch_path,
        .version = op->driver->epoch_version,
    };
    op->request.ops = op->ops;
    op->request.op_count = op_count;
    controller_request_send(op, ZK_REQUEST_MULTI, done);
}

void controller_request_send_delete(struct controller_request *op)
{
    op->ops[1] = (struct keeper_multi_op){
        .kind = KEEPER_MULTI_DELETE, .path = op->path, .version = keeper_any_version};
    controller_request_send_checked(op, 2, controller_request_ignore);
}

void controller_request_release(struct controller_request *op)
{
    struct controller_driver *driver = op->driver;
    const bool is_aside = op->is_aside;
    heap_give(driver->options.heap, op->block);
    heap_give(driver->options.heap, op);
    controller_driver_close_one(driver, is_aside);
}

int32_t controller_request_code(struct controller_request *op, const struct keeper_result *result)
{
    struct controller_driver *driver = op->driver;
    if (result->part_count > 0 && result->parts[0].code == KEEPER_BAD_VERSION &&
        !driver->is_draining) {
        diag_warn(driver->options.diag, "another controller has taken over");
        controller_driver_end(driver);
        driver->handler.on_deposed(driver->handler.context);
    }
    return controller_driver_is_over(driver, result) ? KEEPER_SESSION_EXPIRED : result->code;
}

void controller_request_ignore(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_request *op = controller_request_of(request);
    (void)controller_request_code(op, result);
    controller_request_release(op);
}
