// Scores of the events in a flat file, on standard output, one line per event.
//
//   event_loop URL MODEL FILE [--batch N]
//
// The file's first line names its columns, in any order; further columns are left alone. Columns
// are separated by commas, spaces or tabs. A token goes into the address (http://HOST:8083/?token=
// TOKEN) or, which other users of the machine do not see, into the variable TFAAS_NB_TOKEN.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

#include "tfaas_client.h"

namespace {

std::vector<std::string> split(const std::string& line) {
  const char* separators = ", \t\r";
  std::vector<std::string> words;
  std::size_t end = 0;
  for (std::size_t start = line.find_first_not_of(separators); start != std::string::npos;
       start = line.find_first_not_of(separators, end)) {
    end = std::min(line.find_first_of(separators, start), line.size());
    words.push_back(line.substr(start, end - start));
  }
  return words;
}

float number(const std::string& word, std::size_t line) {
  char* end = nullptr;
  const float value = std::strtof(word.c_str(), &end);
  if (word.empty() || *end)
    throw tfaas::Error("line " + std::to_string(line) + ": '" + word + "' is no number");
  return value;
}

std::vector<tfaas::Event> read(const std::string& path, tfaas::Client& client,
                               const std::string& model, std::vector<std::string>& names) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) throw tfaas::Error(path + " cannot be read, or is empty");
  const tfaas::Reader reader(client.features(model), split(line));
  names = reader.features();
  if (names.empty()) throw tfaas::Error("the model " + model + " does not name its features");
  std::vector<tfaas::Event> events;
  for (std::size_t count = 2; std::getline(file, line); ++count) {
    std::vector<float> values;
    for (const auto& word : split(line)) values.push_back(number(word, count));
    if (!values.empty()) events.push_back(reader(values));
  }
  return events;
}

int run(const std::string& url, const std::string& model, const std::string& path,
        std::size_t batch) {
  tfaas::Options options;
  if (const char* token = std::getenv("TFAAS_NB_TOKEN")) options.token = token;
  tfaas::Client client(url, options);
  std::vector<std::string> names;
  const auto events = read(path, client, model, names);

  std::vector<tfaas::Scores> scores;
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < events.size(); i += batch) {
    if (batch == 1) {
      scores.push_back(client.predict(model, names, events[i]));
      continue;
    }
    const auto end = events.begin() + long(std::min(i + batch, events.size()));
    const std::vector<tfaas::Event> together(events.begin() + long(i), end);
    const auto part = client.predict(model, names, together);
    scores.insert(scores.end(), part.begin(), part.end());
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;

  std::cout.precision(std::numeric_limits<float>::max_digits10);
  for (const auto& event : scores) {
    for (std::size_t i = 0; i < event.size(); ++i) std::cout << (i ? " " : "") << event[i];
    std::cout << '\n';
  }
  std::cerr << events.size() << " events in " << seconds.count() << " s: "
            << 1e6 * seconds.count() / double(std::max<std::size_t>(events.size(), 1))
            << " us per event" << std::endl;
  return 0;
}

}  // namespace

int main(int count, char** words) {
  const bool has_batch = count == 6 && std::string(words[4]) == "--batch";
  const long batch = has_batch ? std::atol(words[5]) : 1;
  if ((count != 4 && !has_batch) || batch < 1) {
    std::cerr << "usage: " << words[0] << " URL MODEL FILE [--batch N]" << std::endl;
    return 2;
  }
  try {
    return run(words[1], words[2], words[3], std::size_t(batch));
  } catch (const tfaas::Error& error) {
    std::cerr << words[0] << ": " << error.what() << std::endl;
    return 1;
  }
}
