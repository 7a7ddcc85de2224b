// What the exported plugins use of CMSSW, as its headers declare it: enough to compile them
// without CMSSW, which is nowhere but on its own machines.
#include <initializer_list>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace cms {
  struct Exception : std::exception {
    explicit Exception(const std::string&);
    template <typename T>
    Exception& operator<<(const T&);
  };
  namespace Ort {
    typedef std::vector<std::vector<float>> FloatArrays;
    struct ONNXRuntime {
      explicit ONNXRuntime(const std::string& model_path, const void* session_options = nullptr);
      FloatArrays run(const std::vector<std::string>& input_names,
                      FloatArrays& input_values,
                      const std::vector<std::vector<int64_t>>& input_shapes = {},
                      const std::vector<std::string>& output_names = {},
                      int64_t batch_size = 1) const;
    };
  }  // namespace Ort
}  // namespace cms

namespace edm {
  struct InputTag {
    explicit InputTag(const std::string& label);
  };
  struct FileInPath {
    explicit FileInPath(const std::string& path);
    std::string fullPath() const;
  };
  struct ParameterSet {
    template <typename T>
    T getParameter(const std::string& name) const;
  };
  struct ParameterSetDescription {
    template <typename T>
    void add(const std::string& name, const T& value);
  };
  struct ConfigurationDescriptions {
    void addWithDefaultLabel(const ParameterSetDescription&);
  };
  template <typename T>
  struct EDGetTokenT {};
  struct EventSetup {};
  struct Event {
    template <typename T>
    const T& get(const EDGetTokenT<T>&) const;
    template <typename T>
    void put(std::unique_ptr<T>);
  };
  template <typename T>
  struct GlobalCache {
    typedef T Type;
  };
  namespace stream {
    template <typename Cache>
    struct EDProducer {
      virtual ~EDProducer();
      const typename Cache::Type* globalCache() const;
      template <typename T>
      EDGetTokenT<T> consumes(const InputTag&);
      template <typename T>
      void produces();

    private:
      virtual void produce(Event&, const EventSetup&) = 0;
    };
  }  // namespace stream
}  // namespace edm

namespace tensorflow {
  enum DataType { DT_FLOAT };
  struct GraphDef {};
  struct Session;
  template <typename T>
  struct Flat {
    T* data() const;
    long size() const;
  };
  struct Tensor {
    Tensor(DataType, std::initializer_list<int64_t>);
    template <typename T>
    Flat<T> flat();
    template <typename T>
    Flat<const T> flat() const;
  };
  typedef std::vector<std::pair<std::string, Tensor>> NamedTensorList;
  GraphDef* loadGraphDef(const std::string& pbFile);
  Session* createSession(const GraphDef*);
  bool closeSession(Session*&);
  void run(const Session*, const NamedTensorList&, const std::vector<std::string>&, std::vector<Tensor>*);
}  // namespace tensorflow

// The framework makes a module by its constructor and calls these.
template <typename Module, typename Cache>
void used(const edm::ParameterSet& config, edm::ConfigurationDescriptions& descriptions, Cache cache) {
  Module::fillDescriptions(descriptions);
  Module module(config, Module::initializeGlobalCache(config).get());
  Module::globalEndJob(cache);
}
#define DEFINE_FWK_MODULE(Module) \
  template void used<Module, decltype(Module::initializeGlobalCache(std::declval<edm::ParameterSet>()).get())>( \
      const edm::ParameterSet&, \
      edm::ConfigurationDescriptions&, \
      decltype(Module::initializeGlobalCache(std::declval<edm::ParameterSet>()).get()))
