# The examples, with any file in place of the release's zip file.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "the_minimal_example_is_valid" {
  module {
    source = "./examples/minimal"
  }
  variables {
    release = {
      version = "0.1.0"
      sha256  = filesha256("lambda.tf")
      file    = "lambda.tf"
    }
  }
}

run "the_complete_example_is_valid" {
  module {
    source = "./examples/complete"
  }
  variables {
    release_version  = "0.1.0"
    release_sha256   = filesha256("lambda.tf")
    release_bucket   = "our-releases"
    release_checksum = filebase64sha256("lambda.tf")
  }
  assert {
    condition     = strcontains(output.config_text, "lectures-nlb") && length(output.alarms) > 0
    error_message = "the example's services or alarms are missing"
  }
}
