#include "tfaas_client.h"

#include <curl/curl.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstring>
#include <map>
#include <utility>

#include "tfaas.pb.h"

namespace tfaas {
namespace {

static_assert(sizeof(float) == 4, "float32 is what goes over the wire");

const std::size_t kMostValues = std::size_t(8) << 20;  // 32 MB a request
const std::size_t kQuoted = 300;

struct Answer {
  long status = 0;
  std::string body;
};

std::size_t append(char* data, std::size_t size, std::size_t count, void* body) {
  static_cast<std::string*>(body)->append(data, size * count);
  return size * count;
}

/// Whether a line begins so, in small or capital letters.
bool begins(const std::string& line, const std::string& wanted) {
  const auto same = [](char b, char a) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  return line.size() >= wanted.size() &&
         std::equal(wanted.begin(), wanted.end(), line.begin(), same);
}

std::size_t look_for_server(char* data, std::size_t size, std::size_t count, void* is_ours) {
  const std::string line(data, size * count);
  // A proxy writes a Server of its own.
  if (begins(line, "x-tfaas-nb:") || begins(line, "server: tfaas_nb/"))
    *static_cast<bool*>(is_ours) = true;
  return size * count;
}

/// Whether an address is this machine's. libcurl's own list would replace that of the environment.
bool is_loopback(const std::string& address) {
  const std::size_t scheme = address.find("://");
  const std::string host = address.substr(scheme == std::string::npos ? 0 : scheme + 3);
  for (const std::string name : {"localhost", "127.0.0.1", "[::1]"})
    if (begins(host, name) && (host.size() == name.size() || host[name.size()] == ':' ||
                               host[name.size()] == '/'))
      return true;
  return false;
}

google::protobuf::Struct json_object(const std::string& text) {
  google::protobuf::Struct found;
  if (!google::protobuf::util::JsonStringToMessage(text, &found).ok())
    throw Error("the server answered no JSON object: " + text.substr(0, kQuoted));
  return found;
}

std::string member(const google::protobuf::Struct& object, const std::string& name) {
  const auto found = object.fields().find(name);
  return found == object.fields().end() ? "" : found->second.string_value();
}

Refused refused(const Answer& answer) {
  google::protobuf::Struct told;
  if (google::protobuf::util::JsonStringToMessage(answer.body, &told).ok() &&
      told.fields().count("error"))
    return Refused(answer.status, member(told, "kind"), member(told, "error"));
  return Refused(answer.status, "", answer.body.substr(0, kQuoted));
}

void check_width(const std::vector<std::string>& names, const Event& values) {
  if (names.size() != values.size())
    throw Error(std::to_string(names.size()) + " names but " + std::to_string(values.size()) +
                " values");
}

bool is_little_endian() {
  const std::uint16_t one = 1;
  unsigned char first;
  std::memcpy(&first, &one, 1);
  return first == 1;
}

/// float32 as four bytes, the least significant first, whatever this machine's order is.
void put(std::string& bytes, const float* values, std::size_t count) {
  const std::size_t start = bytes.size();
  bytes.append(reinterpret_cast<const char*>(values), 4 * count);
  if (!is_little_endian())
    for (std::size_t i = start; i < bytes.size(); i += 4)
      std::reverse(bytes.begin() + i, bytes.begin() + i + 4);
}

std::string quoted(const std::string& name) {
  std::string text = "'";
  for (char letter : name) {
    if (letter == '\'' || letter == '\\') text += '\\';
    text += letter;
  }
  return text + "'";
}

/// A .npy file with one float32 field per feature: the names travel with the values.
std::string npy(const std::vector<std::string>& names, const Event* events, std::size_t count) {
  std::string header = "{'descr': [";
  for (const auto& name : names) header += "(" + quoted(name) + ", '<f4'), ";
  header += "], 'fortran_order': False, 'shape': (" + std::to_string(count) + ",), }";
  const std::size_t before = 12;  // magic, version 3.0 (names are UTF-8), length
  header.append(63 - (before + header.size()) % 64, ' ');
  header += '\n';
  std::string bytes("\x93NUMPY\x03\x00", 8);
  for (int shift = 0; shift < 32; shift += 8)
    bytes += static_cast<char>(header.size() >> shift & 0xff);
  bytes += header;
  bytes.reserve(bytes.size() + 4 * names.size() * count);
  for (std::size_t i = 0; i < count; ++i) {
    check_width(names, events[i]);
    put(bytes, events[i].data(), events[i].size());
  }
  return bytes;
}

/// The float32 after a .npy file's header, as one list of scores per event.
void read_npy(std::string bytes, std::size_t events, std::vector<Scores>& scores) {
  const auto byte = [&](std::size_t i) { return std::size_t(static_cast<unsigned char>(bytes[i])); };
  const bool is_npy = bytes.size() > 12 && bytes.compare(0, 6, "\x93NUMPY") == 0;
  std::size_t start = 0;
  if (is_npy)
    start = byte(6) == 1 ? 10 + byte(8) + (byte(9) << 8)
                         : 12 + byte(8) + (byte(9) << 8) + (byte(10) << 16) + (byte(11) << 24);
  const std::string header = is_npy ? bytes.substr(0, start) : "";
  const std::size_t size = start <= bytes.size() ? bytes.size() - start : 0;
  if (header.find("'<f4'") == std::string::npos || !events || size % (4 * events))
    throw Error("the server's answer is no .npy file of float32 with a row per event");
  const std::size_t outputs = size / 4 / events;
  if (!is_little_endian())
    for (std::size_t i = start; i < bytes.size(); i += 4)
      std::reverse(bytes.begin() + i, bytes.begin() + i + 4);
  for (std::size_t i = 0; i < events; ++i) {
    Scores row(outputs);
    if (outputs) std::memcpy(row.data(), bytes.data() + start + 4 * outputs * i, 4 * outputs);
    scores.push_back(std::move(row));
  }
}

}  // namespace

Refused::Refused(long status, const std::string& kind, const std::string& reason)
    : Error(reason + " (HTTP " + std::to_string(status) + ")"), status_(status), kind_(kind) {}

// --- one connection -----------------------------------------------------------------------------

struct Client::Connection {
  std::string base, query;
  CURL* curl;
  curl_slist* headers = nullptr;
  char reason[CURL_ERROR_SIZE] = "";
  bool is_ours = false, is_asked = false;
  Options options;

  Connection(const std::string& url, const Options& given) : options(given) {
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);  // once, by one thread
    curl = ready == CURLE_OK ? curl_easy_init() : nullptr;
    if (!curl) throw Error("libcurl cannot be used");
    const std::size_t end = url.find('?');
    base = url.substr(0, end);
    query = end == std::string::npos ? "" : url.substr(end + 1);
    while (!base.empty() && base.back() == '/') base.pop_back();
    // Else larger requests would wait for the server to say that it wants them.
    headers = curl_slist_append(headers, "Expect:");
    headers = curl_slist_append(headers, "Content-Type: application/octet-stream");
    if (!options.token.empty())
      headers = curl_slist_append(headers, ("Authorization: Bearer " + options.token).c_str());
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);  // else timeouts are no matter for threads
    curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, long(1000 * options.connect_timeout));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, long(1000 * options.timeout));
    if (!options.ca.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, options.ca.c_str());
    if (!options.cert.empty()) {
      const std::string& key = options.key.empty() ? options.cert : options.key;
      curl_easy_setopt(curl, CURLOPT_SSLCERT, options.cert.c_str());
      curl_easy_setopt(curl, CURLOPT_SSLKEY, key.c_str());
    }
    if (is_loopback(base)) curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");  // none reaches this machine
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, look_for_server);
  }

  ~Connection() {
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
  }

  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// The body of an answer to a GET, or with `body` to a POST.
  std::string ask(const std::string& path, const std::string* body = nullptr,
                  const std::string& option = "") {
    std::string address = base + path;
    for (const std::string& part : {query, option})
      if (!part.empty()) address += (address.find('?') == std::string::npos ? "?" : "&") + part;
    curl_easy_setopt(curl, CURLOPT_URL, address.c_str());
    if (body) {
      curl_easy_setopt(curl, CURLOPT_POST, 1L);
      curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->data());
      curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body->size()));
    } else {
      curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    }
    Answer answer;
    bool ours = false;
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &ours);
    reason[0] = '\0';
    const CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK)
      throw Unreachable("no answer from " + base + ": " +
                        (reason[0] ? reason : curl_easy_strerror(code)));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    // A refusal may be the word of a proxy, which says nothing of the server behind it.
    if (ours || answer.status == 200) {
      is_ours = ours;
      is_asked = true;
    }
    if (answer.status != 200) throw refused(answer);
    return std::move(answer.body);
  }

  std::string escaped(const std::string& text) {
    char* found = curl_easy_escape(curl, text.c_str(), int(text.size()));
    if (!found) throw Error("libcurl cannot write " + text + " into an address");
    const std::string copy(found);
    curl_free(found);
    return copy;
  }
};

// --- the client ---------------------------------------------------------------------------------

Client::Client(const std::string& url, const Options& options)
    : connection_(new Connection(url, options)) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

std::vector<std::string> Client::features(const std::string& model) {
  std::string path = "/params";  // a model may be NAME/versions/3
  for (std::size_t start = 0, end = 0; end != std::string::npos; start = end + 1) {
    end = model.find('/', start);
    path += "/" + connection_->escaped(model.substr(start, end - start));
  }
  const auto params = json_object(connection_->ask(path));
  std::vector<std::string> names;
  const auto found = params.fields().find("features");
  if (found != params.fields().end())
    for (const auto& feature : found->second.list_value().values())
      names.push_back(member(feature.struct_value(), "name"));
  return names;
}

Scores Client::predict(const std::string& model, const std::vector<std::string>& names,
                       const Event& values) {
  check_width(names, values);
  tfaaspb::Row row;
  for (const auto& name : names) row.add_key(name);
  row.mutable_value()->Add(values.begin(), values.end());
  row.set_model(model);
  std::string body;
  row.SerializeToString(&body);
  tfaaspb::Predictions answer;
  if (!answer.ParseFromString(connection_->ask("/proto", &body)))
    throw Error("the server's answer is no protobuf Predictions");
  Scores scores;
  for (const auto& one : answer.prediction()) scores.push_back(one.probability());
  return scores;
}

std::vector<Scores> Client::predict(const std::string& model,
                                    const std::vector<std::string>& names,
                                    const std::vector<Event>& events) {
  std::vector<Scores> scores;
  scores.reserve(events.size());
  if (!connection_->is_asked) connection_->ask("/status");
  if (!connection_->is_ours) {
    for (const auto& event : events) scores.push_back(predict(model, names, event));
    return scores;
  }
  const std::size_t width = std::max<std::size_t>(names.size(), 1);
  const std::size_t step = std::max<std::size_t>(kMostValues / width, 1);
  for (std::size_t start = 0; start < events.size(); start += step) {
    const std::size_t count = std::min(step, events.size() - start);
    const std::string body = npy(names, &events[start], count);
    const std::string option = "model=" + connection_->escaped(model);
    read_npy(connection_->ask("/predict/npy", &body, option), count, scores);
  }
  return scores;
}

// --- the order of features ----------------------------------------------------------------------

Reader::Reader(std::vector<std::string> features, const std::vector<std::string>& columns)
    : features_(std::move(features)), width_(columns.size()) {
  std::string missing;
  for (const auto& feature : features_) {
    const auto found = std::find(columns.begin(), columns.end(), feature);
    if (found == columns.end()) missing += (missing.empty() ? "" : ", ") + feature;
    positions_.push_back(std::size_t(found - columns.begin()));
  }
  if (!missing.empty()) throw Error("the events have no " + missing);
}

Event Reader::operator()(const std::vector<float>& event) const {
  if (event.size() != width_)
    throw Error("an event has " + std::to_string(event.size()) + " values, there are " +
                std::to_string(width_) + " columns");
  Event values;
  values.reserve(positions_.size());
  for (std::size_t position : positions_) values.push_back(event[position]);
  return values;
}

// --- without a client to keep -------------------------------------------------------------------

namespace {

Client& kept(const std::string& url) {
  thread_local std::map<std::string, Client> clients;
  auto found = clients.find(url);
  if (found == clients.end()) found = clients.emplace(url, Client(url)).first;
  return found->second;
}

}  // namespace

Scores predict(const std::string& url, const std::string& model,
               const std::vector<std::string>& names, const Event& values) {
  return kept(url).predict(model, names, values);
}

std::vector<Scores> predict(const std::string& url, const std::string& model,
                            const std::vector<std::string>& names,
                            const std::vector<Event>& events) {
  return kept(url).predict(model, names, events);
}

}  // namespace tfaas
