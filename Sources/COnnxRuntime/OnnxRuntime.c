// The table of functions that ONNX Runtime's `GetApi(1)` returns only ever grows at its end, so an entry's position is
// its identity across versions. It is declared here by position, with the entries that are used.

// For strdup.
#define _POSIX_C_SOURCE 200809L

#include "COnnxRuntime.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Opaque objects of the library, told apart by name only.
typedef struct Status Status;
typedef struct Env Env;
typedef struct Session Session;
typedef struct SessionOptions SessionOptions;
typedef struct RunOptions RunOptions;
typedef struct Value Value;
typedef struct TypeInfo TypeInfo;
typedef struct TensorInfo TensorInfo;
typedef struct MemoryInfo MemoryInfo;
typedef struct Allocator Allocator;

enum {
  SLOT_GET_ERROR_MESSAGE = 2,
  SLOT_CREATE_ENV = 3,
  SLOT_DISABLE_TELEMETRY = 6,
  SLOT_CREATE_SESSION_FROM_ARRAY = 8,
  SLOT_RUN = 9,
  SLOT_CREATE_SESSION_OPTIONS = 10,
  SLOT_SET_OPTIMIZATION_LEVEL = 23,
  SLOT_SET_INTRA_OP_THREADS = 24,
  SLOT_SET_INTER_OP_THREADS = 25,
  SLOT_INPUT_COUNT = 30,
  SLOT_OUTPUT_COUNT = 31,
  SLOT_INPUT_TYPE_INFO = 33,
  SLOT_OUTPUT_TYPE_INFO = 34,
  SLOT_INPUT_NAME = 36,
  SLOT_OUTPUT_NAME = 37,
  SLOT_CREATE_RUN_OPTIONS = 39,
  SLOT_RUN_OPTIONS_SET_TERMINATE = 46,
  SLOT_CREATE_TENSOR_WITH_DATA = 49,
  SLOT_TENSOR_DATA = 51,
  SLOT_CAST_TO_TENSOR_INFO = 55,
  SLOT_ELEMENT_TYPE = 60,
  SLOT_DIMENSIONS_COUNT = 61,
  SLOT_DIMENSIONS = 62,
  SLOT_ELEMENT_COUNT = 64,
  SLOT_TENSOR_TYPE_AND_SHAPE = 65,
  SLOT_CREATE_CPU_MEMORY_INFO = 69,
  SLOT_ALLOCATOR_FREE = 76,
  SLOT_DEFAULT_ALLOCATOR = 78,
  SLOT_RELEASE_STATUS = 93,
  SLOT_RELEASE_MEMORY_INFO = 94,
  SLOT_RELEASE_SESSION = 95,
  SLOT_RELEASE_VALUE = 96,
  SLOT_RELEASE_RUN_OPTIONS = 97,
  SLOT_RELEASE_TYPE_INFO = 98,
  SLOT_RELEASE_TENSOR_INFO = 99,
  SLOT_RELEASE_SESSION_OPTIONS = 100
};

enum { LOGGING_FATAL = 4, OPTIMIZE_ALL = 99, DEVICE_ALLOCATOR = 0, DEFAULT_MEMORY = 0 };

typedef void (*Function)(void);

typedef struct ApiBase {
  const Function *(*get_api)(uint32_t version);
  const char *(*get_version)(void);
} ApiBase;

struct onnx_library {
  void *handle;
  const Function *api;
  const char *version;
  Env *env;
};

struct onnx_session {
  onnx_library *library;
  Session *session;
  MemoryInfo *memory;
  size_t input_count, output_count;
  onnx_value_info *inputs, *outputs;
};

struct onnx_run {
  onnx_library *library;
  RunOptions *options;
};

// Calls an entry that returns a status.
#define CALL(library, slot, types, ...) (((Status * (*) types)(library)->api[slot]) (__VA_ARGS__))

static void release(const onnx_library *library, int slot, void *object) {
  if (object) ((void (*)(void *))library->api[slot])(object);
}

static void say(onnx_message *message, const char *text) {
  snprintf(message->text, sizeof message->text, "%s", text ? text : "no reason given");
}

// True where the call succeeded; else the message holds what the library says.
static int succeeded(const onnx_library *library, Status *status, onnx_message *message) {
  if (!status) return 1;
  say(message, ((const char *(*)(const Status *))library->api[SLOT_GET_ERROR_MESSAGE])(status));
  release(library, SLOT_RELEASE_STATUS, status);
  return 0;
}

onnx_library *onnx_library_open(const char *path, onnx_message *message) {
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    say(message, dlerror());
    return NULL;
  }
  const ApiBase *(*get_base)(void) = (const ApiBase *(*)(void))dlsym(handle, "OrtGetApiBase");
  const ApiBase *base = get_base ? get_base() : NULL;
  onnx_library *library = calloc(1, sizeof *library);
  if (library && base) {
    *library = (onnx_library){handle, base->get_api(1), base->get_version(), NULL};
    if (library->api) {
      Status *status =
          CALL(library, SLOT_CREATE_ENV, (int, const char *, Env **), LOGGING_FATAL, "pulse", &library->env);
      if (succeeded(library, status, message)) {
        // Nothing leaves the machine; where the platform has no telemetry this does nothing.
        onnx_message ignored;
        succeeded(library, CALL(library, SLOT_DISABLE_TELEMETRY, (const Env *), library->env), &ignored);
        return library;
      }
    } else {
      say(message, "it does not offer version 1 of ONNX Runtime's C API");
    }
  } else {
    say(message, library ? "it exports no OrtGetApiBase, so it is not ONNX Runtime" : "out of memory");
  }
  free(library);
  dlclose(handle);
  return NULL;
}

const char *onnx_library_version(const onnx_library *library) { return library->version; }

// Appends an execution provider through the function that a library built with it exports.
static int append_provider(
    onnx_library *library, SessionOptions *options, const char *provider, onnx_message *message) {
  static const char *const known[] = {"CUDA", "ROCM", "MIGraphX", "Tensorrt", "Dnnl"};
  const size_t known_count = sizeof known / sizeof *known;
  char name[128];
  for (size_t i = 0; i < known_count; i++) {
    if (strcmp(known[i], provider) != 0) continue;
    snprintf(name, sizeof name, "OrtSessionOptionsAppendExecutionProvider_%s", provider);
    Status *(*append)(SessionOptions *, int) = (Status * (*)(SessionOptions *, int)) dlsym(library->handle, name);
    if (append) return succeeded(library, append(options, 0), message);
  }
  int length = snprintf(
      message->text, sizeof message->text, "this ONNX Runtime %s has no execution provider '%.40s'; it has: cpu",
      library->version, provider);
  for (size_t i = 0; i < known_count; i++) {
    snprintf(name, sizeof name, "OrtSessionOptionsAppendExecutionProvider_%s", known[i]);
    if (dlsym(library->handle, name) && (size_t)length < sizeof message->text) {
      length += snprintf(message->text + length, sizeof message->text - (size_t)length, ", %s", known[i]);
    }
  }
  return 0;
}

static int fill_shape(onnx_library *library, const TensorInfo *tensor, onnx_value_info *info, onnx_message *message) {
  if (!succeeded(
          library, CALL(library, SLOT_ELEMENT_TYPE, (const TensorInfo *, int32_t *), tensor, &info->type), message) ||
      !succeeded(
          library, CALL(library, SLOT_DIMENSIONS_COUNT, (const TensorInfo *, size_t *), tensor, &info->rank), message))
    return 0;
  const size_t given = info->rank < ONNX_MAX_DIMENSIONS ? info->rank : ONNX_MAX_DIMENSIONS;
  return succeeded(
      library, CALL(library, SLOT_DIMENSIONS, (const TensorInfo *, int64_t *, size_t), tensor, info->shape, given),
      message);
}

// Fills in one input or output. The name is copied, so that it outlives the library's own.
static int fill_info(
    onnx_session *session, size_t index, int name_slot, int type_slot, onnx_value_info *info, onnx_message *message) {
  onnx_library *library = session->library;
  Allocator *allocator = NULL;
  char *name = NULL;
  if (!succeeded(library, CALL(library, SLOT_DEFAULT_ALLOCATOR, (Allocator **), &allocator), message) ||
      !succeeded(
          library,
          CALL(library, name_slot, (const Session *, size_t, Allocator *, char **), session->session, index, allocator,
               &name),
          message))
    return 0;
  info->name = strdup(name);
  onnx_message ignored;
  succeeded(library, CALL(library, SLOT_ALLOCATOR_FREE, (Allocator *, void *), allocator, name), &ignored);
  if (!info->name) {
    say(message, "out of memory");
    return 0;
  }
  TypeInfo *type = NULL;
  if (!succeeded(
          library, CALL(library, type_slot, (const Session *, size_t, TypeInfo **), session->session, index, &type),
          message))
    return 0;
  const TensorInfo *tensor = NULL;
  int ok = succeeded(
      library, CALL(library, SLOT_CAST_TO_TENSOR_INFO, (const TypeInfo *, const TensorInfo **), type, &tensor),
      message);
  // What is not a tensor keeps type and rank zero.
  if (ok && tensor) ok = fill_shape(library, tensor, info, message);
  release(library, SLOT_RELEASE_TYPE_INFO, type);
  return ok;
}

static int fill_infos(
    onnx_session *session, int count_slot, int name_slot, int type_slot, size_t *count, onnx_value_info **infos,
    onnx_message *message) {
  size_t found = 0;
  if (!succeeded(
          session->library, CALL(session->library, count_slot, (const Session *, size_t *), session->session, &found),
          message))
    return 0;
  *infos = calloc(found ? found : 1, sizeof **infos);
  if (!*infos) {
    say(message, "out of memory");
    return 0;
  }
  *count = found;
  for (size_t i = 0; i < found; i++) {
    if (!fill_info(session, i, name_slot, type_slot, &(*infos)[i], message)) return 0;
  }
  return 1;
}

onnx_session *onnx_session_open(
    onnx_library *library, const void *model, size_t model_size, int threads, const char *provider,
    onnx_message *message) {
  onnx_session *session = calloc(1, sizeof *session);
  if (!session) {
    say(message, "out of memory");
    return NULL;
  }
  session->library = library;
  SessionOptions *options = NULL;
  const int ok =
      succeeded(library, CALL(library, SLOT_CREATE_SESSION_OPTIONS, (SessionOptions **), &options), message) &&
      succeeded(
          library, CALL(library, SLOT_SET_OPTIMIZATION_LEVEL, (SessionOptions *, int), options, OPTIMIZE_ALL),
          message) &&
      succeeded(library, CALL(library, SLOT_SET_INTRA_OP_THREADS, (SessionOptions *, int), options, threads), message) &&
      succeeded(library, CALL(library, SLOT_SET_INTER_OP_THREADS, (SessionOptions *, int), options, 1), message) &&
      (!provider || append_provider(library, options, provider, message)) &&
      succeeded(
          library,
          CALL(library, SLOT_CREATE_SESSION_FROM_ARRAY,
               (const Env *, const void *, size_t, const SessionOptions *, Session **), library->env, model, model_size,
               options, &session->session),
          message) &&
      succeeded(
          library,
          CALL(library, SLOT_CREATE_CPU_MEMORY_INFO, (int, int, MemoryInfo **), DEVICE_ALLOCATOR, DEFAULT_MEMORY,
               &session->memory),
          message) &&
      fill_infos(
          session, SLOT_INPUT_COUNT, SLOT_INPUT_NAME, SLOT_INPUT_TYPE_INFO, &session->input_count, &session->inputs,
          message) &&
      fill_infos(
          session, SLOT_OUTPUT_COUNT, SLOT_OUTPUT_NAME, SLOT_OUTPUT_TYPE_INFO, &session->output_count,
          &session->outputs, message);
  release(library, SLOT_RELEASE_SESSION_OPTIONS, options);
  if (ok) return session;
  onnx_session_close(session);
  return NULL;
}

static void free_infos(onnx_value_info *infos, size_t count) {
  for (size_t i = 0; i < count; i++) free((char *)infos[i].name);
  free(infos);
}

void onnx_session_close(onnx_session *session) {
  free_infos(session->inputs, session->input_count);
  free_infos(session->outputs, session->output_count);
  release(session->library, SLOT_RELEASE_MEMORY_INFO, session->memory);
  release(session->library, SLOT_RELEASE_SESSION, session->session);
  free(session);
}

size_t onnx_session_input_count(const onnx_session *session) { return session->input_count; }
size_t onnx_session_output_count(const onnx_session *session) { return session->output_count; }
const onnx_value_info *onnx_session_input(const onnx_session *session, size_t index) {
  return &session->inputs[index];
}
const onnx_value_info *onnx_session_output(const onnx_session *session, size_t index) {
  return &session->outputs[index];
}

// Writes `count` elements of `type` as floats.
static int convert(int32_t type, const void *data, size_t count, float *result, onnx_message *message) {
  switch (type) {
    case ONNX_TYPE_FLOAT:
      memcpy(result, data, count * sizeof(float));
      return 1;
    case ONNX_TYPE_DOUBLE:
      for (size_t i = 0; i < count; i++) result[i] = (float)((const double *)data)[i];
      return 1;
    case ONNX_TYPE_INT64:
      for (size_t i = 0; i < count; i++) result[i] = (float)((const int64_t *)data)[i];
      return 1;
    case ONNX_TYPE_INT32:
      for (size_t i = 0; i < count; i++) result[i] = (float)((const int32_t *)data)[i];
      return 1;
    case ONNX_TYPE_BOOL:
      for (size_t i = 0; i < count; i++) result[i] = ((const uint8_t *)data)[i] ? 1 : 0;
      return 1;
    default:
      snprintf(message->text, sizeof message->text, "the output holds elements of ONNX type %d, not numbers", type);
      return 0;
  }
}

// Copies an output that must hold `expected` elements.
static int copy_output(
    onnx_library *library, Value *value, size_t expected, float *result, onnx_message *message) {
  TensorInfo *info = NULL;
  int32_t type = 0;
  size_t count = 0;
  void *data = NULL;
  int ok = succeeded(
               library, CALL(library, SLOT_TENSOR_TYPE_AND_SHAPE, (const Value *, TensorInfo **), value, &info),
               message) &&
      succeeded(library, CALL(library, SLOT_ELEMENT_TYPE, (const TensorInfo *, int32_t *), info, &type), message) &&
      succeeded(library, CALL(library, SLOT_ELEMENT_COUNT, (const TensorInfo *, size_t *), info, &count), message);
  release(library, SLOT_RELEASE_TENSOR_INFO, info);
  if (ok && count != expected) {
    snprintf(
        message->text, sizeof message->text, "the output holds %zu numbers, %zu were expected", count, expected);
    ok = 0;
  }
  return ok && succeeded(library, CALL(library, SLOT_TENSOR_DATA, (Value *, void **), value, &data), message) &&
      convert(type, data, count, result, message);
}

onnx_run *onnx_run_open(onnx_library *library, onnx_message *message) {
  onnx_run *run = calloc(1, sizeof *run);
  if (!run) {
    say(message, "out of memory");
    return NULL;
  }
  run->library = library;
  if (succeeded(library, CALL(library, SLOT_CREATE_RUN_OPTIONS, (RunOptions **), &run->options), message)) return run;
  free(run);
  return NULL;
}

void onnx_run_terminate(onnx_run *run) {
  onnx_message ignored;
  succeeded(run->library, CALL(run->library, SLOT_RUN_OPTIONS_SET_TERMINATE, (RunOptions *), run->options), &ignored);
}

void onnx_run_close(onnx_run *run) {
  release(run->library, SLOT_RELEASE_RUN_OPTIONS, run->options);
  free(run);
}

int onnx_session_run(
    onnx_session *session, onnx_run *run, const float *matrix, size_t rows, size_t columns, size_t output, float *result,
    size_t width, onnx_message *message) {
  onnx_library *library = session->library;
  const int64_t shape[2] = {(int64_t)rows, (int64_t)columns};
  Value *input = NULL, *value = NULL;
  // The tensor borrows the matrix, which the library only reads.
  int ok = succeeded(
      library,
      CALL(library, SLOT_CREATE_TENSOR_WITH_DATA,
           (const MemoryInfo *, void *, size_t, const int64_t *, size_t, int32_t, Value **), session->memory,
           (void *)matrix, rows * columns * sizeof(float), shape, 2, ONNX_TYPE_FLOAT, &input),
      message);
  if (ok) {
    const char *input_name = session->inputs[0].name, *output_name = session->outputs[output].name;
    const Value *inputs[1] = {input};
    ok = succeeded(
             library,
             CALL(library, SLOT_RUN,
                  (Session *, const RunOptions *, const char *const *, const Value *const *, size_t, const char *const *,
                   size_t, Value **),
                  session->session, run->options, &input_name, inputs, 1, &output_name, 1, &value),
             message) &&
        copy_output(library, value, rows * width, result, message);
  }
  release(library, SLOT_RELEASE_VALUE, value);
  release(library, SLOT_RELEASE_VALUE, input);
  return ok;
}
