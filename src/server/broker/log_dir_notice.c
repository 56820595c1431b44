#include "server/broker/log_dir_notice.h"

#include "broker/znode_json.h"

static void on_told(struct zk_request *request, const struct keeper_result *result)
{
    struct log_dir_notice *notice = CONTAINER_OF(request, struct log_dir_notice, request);
    notice->is_sent = false;
    if (result->code == KEEPER_SESSION_EXPIRED) {
        notice->is_wanted = true;
        return;
    }
    if (result->code != KEEPER_OK)
        diag_error(notice->options.diag,
                   "the controller cannot be told of a failed log directory: %s",
                   keeper_code_name(result->code));
    log_dir_notice_send(notice); /* Another one failed meanwhile. */
}

void log_dir_notice_want(struct log_dir_notice *notice)
{
    notice->is_wanted = true;
}

void log_dir_notice_send(struct log_dir_notice *notice)
{
    struct arena arena;
    if (!notice->is_wanted || notice->is_sent)
        return;
    notice->is_wanted = false;
    notice->is_sent = true;
    arena_init(&arena, notice->data, sizeof notice->data);
    notice->request = (struct zk_request){
        .kind = ZK_REQUEST_CREATE,
        .path = "/log_dir_event_notification/log_dir_event_",
        .data = znode_json_write_log_dir_event(&arena, notice->options.broker_id),
        .flags = KEEPER_SEQUENTIAL,
        .done = on_told,
    };
    zk_session_send(notice->options.session, &notice->request);
}
