/* Scores of one event by a frozen graph, through TensorFlow's C API: the same without CMSSW.
 *
 *   gcc score_graph.c -I$TF/include -L$TF -Wl,-rpath,$TF -l:libtensorflow_cc.so.2 \
 *       -l:libtensorflow_framework.so.2 -o score_graph
 *   ./score_graph GRAPH.pb INPUT OUTPUT < values
 *
 * $TF is where Python's package tensorflow is installed. The usual linker takes a gigabyte of memory
 * for it; gcc -fuse-ld=gold takes less.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

#define MOST_VALUES 4096

static void check(TF_Status* status, const char* what) {
  if (TF_GetCode(status) == TF_OK) return;
  fprintf(stderr, "%s: %s\n", what, TF_Message(status));
  exit(1);
}

static TF_Buffer* read_file(const char* path) {
  FILE* file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END)) {
    perror(path);
    exit(1);
  }
  const long size = ftell(file);
  char* bytes = malloc((size_t)size);
  rewind(file);
  if (!bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size) {
    perror(path);
    exit(1);
  }
  fclose(file);
  TF_Buffer* buffer = TF_NewBufferFromString(bytes, (size_t)size);
  free(bytes);
  return buffer;
}

static TF_Output end_of(TF_Graph* graph, const char* name) {
  TF_Output end = {TF_GraphOperationByName(graph, name), 0};
  if (!end.oper) {
    fprintf(stderr, "the graph has no node %s\n", name);
    exit(1);
  }
  return end;
}

int main(int count, char** words) {
  if (count != 4) return 2;
  float values[MOST_VALUES];
  int64_t width = 0;
  while (width < MOST_VALUES && scanf("%f", &values[width]) == 1) ++width;

  TF_Status* status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_ImportGraphDefOptions* import = TF_NewImportGraphDefOptions();
  TF_Buffer* definition = read_file(words[1]);
  TF_GraphImportGraphDef(graph, definition, import, status);
  check(status, "importing the graph");

  TF_SessionOptions* options = TF_NewSessionOptions();
  TF_Session* session = TF_NewSession(graph, options, status);
  check(status, "making a session");
  const int64_t shape[] = {1, width};
  TF_Tensor* input = TF_AllocateTensor(TF_FLOAT, shape, 2, sizeof(float) * (size_t)width);
  memcpy(TF_TensorData(input), values, sizeof(float) * (size_t)width);
  const TF_Output source = end_of(graph, words[2]), result = end_of(graph, words[3]);
  TF_Tensor* output = NULL;
  TF_SessionRun(session, NULL, &source, &input, 1, &result, &output, 1, NULL, 0, NULL, status);
  check(status, "running the graph");

  const float* scores = TF_TensorData(output);
  const size_t outputs = TF_TensorByteSize(output) / sizeof(float);
  for (size_t i = 0; i < outputs; ++i) printf("%.9g\n", scores[i]);

  TF_DeleteTensor(output);
  TF_DeleteTensor(input);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteBuffer(definition);
  TF_DeleteImportGraphDefOptions(import);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
