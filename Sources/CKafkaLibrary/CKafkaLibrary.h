// librdkafka as Swift sees it: the C interface of the system's headers, and that of its mock cluster, which tests use.
//
// Compiled against the system's version; at run time a newer one may be loaded (scripts/setup).
#ifndef CKAFKALIBRARY_H
#define CKAFKALIBRARY_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

/// Lets the next request of a kind that this broker of a mock cluster gets fail, late by `milliseconds`, or only be late where
/// `error` is none. Swift does not see functions of librdkafka that take any number of arguments.
static inline rd_kafka_resp_err_t kafka_mock_push_broker_error(
    rd_kafka_mock_cluster_t *cluster, int32_t broker, int16_t request, rd_kafka_resp_err_t error, int milliseconds) {
  return rd_kafka_mock_broker_push_request_error_rtts(cluster, broker, request, (size_t)1, error, milliseconds);
}

#endif
