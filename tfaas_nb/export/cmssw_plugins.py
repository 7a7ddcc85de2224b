"""Templates of a CMSSW package: plugins, build file and instructions (`string.Template`)."""

from __future__ import annotations

_INCLUDES = """\
#include "FWCore/Framework/interface/Event.h"
#include "FWCore/Framework/interface/MakerMacros.h"
#include "FWCore/Framework/interface/stream/EDProducer.h"
#include "FWCore/ParameterSet/interface/ConfigurationDescriptions.h"
#include "FWCore/ParameterSet/interface/FileInPath.h"
#include "FWCore/ParameterSet/interface/ParameterSet.h"
#include "FWCore/ParameterSet/interface/ParameterSetDescription.h"
#include "FWCore/Utilities/interface/Exception.h"
#include "FWCore/Utilities/interface/InputTag.h"
"""

_FEATURES = """\
  // What the values are, in the order of the model; raw, as normalisation is part of the model.
  constexpr std::array<const char*, $width> kFeatures{{
$features,
  }};

  void checkNumber(const std::vector<float>& values) {
    if (values.size() != kFeatures.size()) {
      throw cms::Exception("FeatureError") << "the model $name takes " << kFeatures.size()
                                           << " values (" << kFeatures.front() << ", ..., "
                                           << kFeatures.back() << "), not " << values.size();
    }
  }
"""

TENSORFLOW_PLUGIN = (
    """\
// Puts the scores of the model "$name" into each event, by TensorFlow.

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

"""
    + _INCLUDES
    + """\
#include "PhysicsTools/TensorFlow/interface/TensorFlow.h"

namespace {
"""
    + _FEATURES
    + """
  // One for all streams: a session may be asked by several threads at once.
  struct ${cls}Graph {
    explicit ${cls}Graph(const std::string& path)
        : graph(tensorflow::loadGraphDef(path)), session(tensorflow::createSession(graph.get())) {}
    ~${cls}Graph() { tensorflow::closeSession(session); }
    ${cls}Graph(const ${cls}Graph&) = delete;
    ${cls}Graph& operator=(const ${cls}Graph&) = delete;

    std::unique_ptr<tensorflow::GraphDef> graph;
    tensorflow::Session* session;
  };
}  // namespace

class ${cls}TensorFlowProducer : public edm::stream::EDProducer<edm::GlobalCache<${cls}Graph>> {
public:
  ${cls}TensorFlowProducer(const edm::ParameterSet& config, const ${cls}Graph*)
      : features_(consumes<std::vector<float>>(config.getParameter<edm::InputTag>("features"))) {
    produces<std::vector<float>>();
  }

  static std::unique_ptr<${cls}Graph> initializeGlobalCache(const edm::ParameterSet& config) {
    return std::make_unique<${cls}Graph>(
        config.getParameter<edm::FileInPath>("graph").fullPath());
  }

  static void globalEndJob(const ${cls}Graph*) {}

  static void fillDescriptions(edm::ConfigurationDescriptions& descriptions) {
    edm::ParameterSetDescription description;
    description.add<edm::InputTag>("features", edm::InputTag("features"));
    description.add<edm::FileInPath>("graph", edm::FileInPath("$package/data/$name.pb"));
    descriptions.addWithDefaultLabel(description);
  }

private:
  void produce(edm::Event& event, const edm::EventSetup&) override {
    const std::vector<float>& values = event.get(features_);
    checkNumber(values);
    tensorflow::Tensor input(tensorflow::DT_FLOAT, {1, $width});
    std::copy(values.begin(), values.end(), input.flat<float>().data());
    std::vector<tensorflow::Tensor> outputs;
    tensorflow::run(globalCache()->session, {{$fed, input}}, {$fetched}, &outputs);
    const auto scores = outputs.at(0).flat<float>();
    event.put(
        std::make_unique<std::vector<float>>(scores.data(), scores.data() + scores.size()));
  }

  const edm::EDGetTokenT<std::vector<float>> features_;
};

DEFINE_FWK_MODULE(${cls}TensorFlowProducer);
"""
)

ONNX_PLUGIN = (
    """\
// Puts the scores of the model "$name" into each event, by ONNXRuntime.

#include <array>
#include <memory>
#include <vector>

"""
    + _INCLUDES
    + """\
#include "PhysicsTools/ONNXRuntime/interface/ONNXRuntime.h"

namespace {
"""
    + _FEATURES
    + """\
}  // namespace

class ${cls}ONNXProducer
    : public edm::stream::EDProducer<edm::GlobalCache<cms::Ort::ONNXRuntime>> {
public:
  ${cls}ONNXProducer(const edm::ParameterSet& config, const cms::Ort::ONNXRuntime*)
      : features_(consumes<std::vector<float>>(config.getParameter<edm::InputTag>("features"))) {
    produces<std::vector<float>>();
  }

  static std::unique_ptr<cms::Ort::ONNXRuntime> initializeGlobalCache(
      const edm::ParameterSet& config) {
    return std::make_unique<cms::Ort::ONNXRuntime>(
        config.getParameter<edm::FileInPath>("model").fullPath());
  }

  static void globalEndJob(const cms::Ort::ONNXRuntime*) {}

  static void fillDescriptions(edm::ConfigurationDescriptions& descriptions) {
    edm::ParameterSetDescription description;
    description.add<edm::InputTag>("features", edm::InputTag("features"));
    description.add<edm::FileInPath>("model", edm::FileInPath("$package/data/$name.onnx"));
    descriptions.addWithDefaultLabel(description);
  }

private:
  void produce(edm::Event& event, const edm::EventSetup&) override {
    cms::Ort::FloatArrays values{event.get(features_)};
    checkNumber(values.front());
    const auto scores = globalCache()->run({$input}, values, {{1, $width}}, {$output});
    event.put(std::make_unique<std::vector<float>>(scores.at(0)));
  }

  const edm::EDGetTokenT<std::vector<float>> features_;
};

DEFINE_FWK_MODULE(${cls}ONNXProducer);
"""
)

BUILD_FILE = """\
<use name="FWCore/Framework"/>
<use name="FWCore/ParameterSet"/>
<use name="FWCore/Utilities"/>
$uses
<library file="*.cc" name="$library">
  <flags EDM_PLUGIN="1"/>
</library>
"""

README = """\
# $name

A package of CMSSW, made by tfaas_nb from the bundle `$name`: it lies at
`$$CMSSW_BASE/src/$package`, which is the path that the plugins read the model from.

$files
$onnx
$use
$tensors

$needs
"""

#: Without plugins: the tensors of the table are all that there is to tell.
NO_PLUGINS = """\
The model takes or gives something else than one matrix of float32, so there are no plugins: feed
and fetch its tensors by their names.
"""

PLUGINS = """\
`plugins/BuildFile.xml` and what lies beside it are a start to change: a producer reads the values
of each event as a `std::vector<float>`, in the order of the model, and puts its scores beside.
`scram b` builds it; in a configuration it is

$configurations
In C++ without a plugin:

$code"""

TENSORFLOW_CONFIGURATION = """\
    process.score = cms.EDProducer("${cls}TensorFlowProducer",
        features=cms.InputTag("features"),
        graph=cms.FileInPath("$package/data/$name.pb"))
"""

ONNX_CONFIGURATION = """\
    process.score = cms.EDProducer("${cls}ONNXProducer",
        features=cms.InputTag("features"),
        model=cms.FileInPath("$package/data/$name.onnx"))
"""

TENSORFLOW_CODE = """\
    std::unique_ptr<tensorflow::GraphDef> graph(tensorflow::loadGraphDef(path));
    tensorflow::Session* session = tensorflow::createSession(graph.get());
    tensorflow::Tensor input(tensorflow::DT_FLOAT, {1, $width});
    std::vector<tensorflow::Tensor> outputs;
    tensorflow::run(session, {{$fed, input}}, {$fetched}, &outputs);
"""

ONNX_CODE = """\
    cms::Ort::ONNXRuntime model(path);
    cms::Ort::FloatArrays values{std::vector<float>($width)};
    model.run({$input}, values, {{1, $width}}, {$output});
"""
