// A client of tfaas_nb and of TFaaS: raw physics values in, scores out.
//
//   std::vector<float> scores = tfaas::predict(url, "ttbar", names, values);
//
// asks about one event, and the same with a vector of events about many at once. In a loop make a
// tfaas::Client and keep it: it keeps its connection open between requests. A Client may be used
// by one thread at a time; several threads need one each.
//
// tfaas::Reader takes care of the order of features, which it asks the server for.

#ifndef TFAAS_CLIENT_H
#define TFAAS_CLIENT_H

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace tfaas {

/// One event: a value for each name, in the order of the names.
using Event = std::vector<float>;
/// The answer to one event: a score for each output of the model.
using Scores = std::vector<float>;

/// Whatever this client throws.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Nothing answered at the address, or not in time.
class Unreachable : public Error {
 public:
  using Error::Error;
};

/// The server refused the request; what() is its reason.
class Refused : public Error {
 public:
  Refused(long status, const std::string& kind, const std::string& reason);
  /// HTTP status: 401 without the right token, 404 for an unknown model, 422 for wrong features.
  long status() const { return status_; }
  /// Class of the error in tfaas_nb, such as "FeatureError"; empty from other servers.
  const std::string& kind() const { return kind_; }

 private:
  long status_;
  std::string kind_;
};

struct Options {
  /// What the server asks for; it is sent as a header. It may also be in the address (?token=...).
  std::string token;
  /// Seconds to wait for a connection.
  double connect_timeout = 5.0;
  /// Seconds to wait for an answer.
  double timeout = 60.0;
  /// PEM file of the authorities that sign the server's certificate; else libcurl's own.
  std::string ca;
  /// PEM files of the client's certificate and its key, for a server that asks for one; a grid proxy
  /// is both in one file, as cert alone.
  std::string cert, key;
};

class Client {
 public:
  /// `url` is for instance http://127.0.0.1:8083 or http://127.0.0.1:8083/?token=TOKEN; nothing is
  /// sent yet.
  explicit Client(const std::string& url, const Options& options = {});
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  /// Names of a model's features, in its order; empty if it does not tell them.
  std::vector<std::string> features(const std::string& model);

  /// Scores of one event. tfaas_nb puts the values in the model's order by their names; a Go
  /// TFaaS takes them as they come.
  Scores predict(const std::string& model, const std::vector<std::string>& names,
                 const Event& values);

  /// Scores of many events, which are sent in few requests; one by one to a Go TFaaS, which takes
  /// no more.
  std::vector<Scores> predict(const std::string& model, const std::vector<std::string>& names,
                              const std::vector<Event>& events);

 private:
  struct Connection;
  std::unique_ptr<Connection> connection_;
};

/// Picks a model's features, in its order, out of the columns of somebody's events.
class Reader {
 public:
  /// Throws an Error that names the features which are not among the columns.
  Reader(std::vector<std::string> features, const std::vector<std::string>& columns);

  const std::vector<std::string>& features() const { return features_; }
  /// The model's values out of an event's, which are in the order of the columns.
  Event operator()(const std::vector<float>& event) const;

 private:
  std::vector<std::string> features_;
  std::vector<std::size_t> positions_;
  std::size_t width_;
};

/// As Client::predict, over a connection that is kept for this thread's next call to that server.
Scores predict(const std::string& url, const std::string& model,
               const std::vector<std::string>& names, const Event& values);
std::vector<Scores> predict(const std::string& url, const std::string& model,
                            const std::vector<std::string>& names,
                            const std::vector<Event>& events);

}  // namespace tfaas

#endif
