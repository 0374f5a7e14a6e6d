# The function runs the zip file of a release. Any file will do as one: nothing is uploaded.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  project = "jitsi"
}

run "a_downloaded_zip_file_runs" {
  command = plan
  variables {
    release = {
      version = "0.1.0"
      sha256  = filesha256("lambda.tf")
      file    = "lambda.tf"
    }
  }
  assert {
    condition     = aws_lambda_function.this[0].filename == "lambda.tf" && aws_lambda_function.this[0].source_code_hash == filebase64sha256("lambda.tf")
    error_message = "the function doesn't run the file"
  }
  assert {
    condition     = local.release_checksum == filebase64sha256("lambda.tf")
    error_message = "the sum in base64 is another one"
  }
}

run "a_zip_file_in_s3_runs" {
  command = plan
  variables {
    release = {
      version     = "0.1.0"
      sha256      = filesha256("main.tf")
      s3_bucket   = "our-releases"
      s3_checksum = filebase64sha256("main.tf")
    }
  }
  assert {
    condition = alltrue([
      aws_lambda_function.this[0].s3_bucket == "our-releases",
      aws_lambda_function.this[0].s3_key == "jvb-watcher/v0.1.0/jvb-watcher-lambda-arm64.zip",
      aws_lambda_function.this[0].source_code_hash == filebase64sha256("main.tf"),
    ])
    error_message = "the function doesn't run the object, or the next release's would not be deployed"
  }
}

run "a_key_and_a_version_of_an_object_are_kept" {
  command = plan
  variables {
    lambda_architecture = "x86_64"
    release = {
      version           = "0.1.0"
      sha256            = filesha256("main.tf")
      s3_bucket         = "our-releases"
      s3_key            = "watcher.zip"
      s3_object_version = "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY"
      s3_checksum       = filebase64sha256("main.tf")
    }
  }
  assert {
    condition     = aws_lambda_function.this[0].s3_key == "watcher.zip" && aws_lambda_function.this[0].s3_object_version == "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY"
    error_message = "the function runs another object"
  }
}

run "sums_of_all_digits_are_converted" {
  command = plan
  variables {
    release = {
      version = "0.1.0"
      # SHA-256 of "abc" (FIPS 180-2, appendix B.1).
      sha256      = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
      s3_bucket   = "our-releases"
      s3_checksum = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
    }
  }
  assert {
    condition     = local.release_checksum == base64sha256("abc")
    error_message = "the sum in base64 is another one"
  }
}

run "a_downloaded_file_with_another_sum_is_rejected" {
  command = plan
  variables {
    release = {
      version = "0.1.0"
      sha256  = filesha256("main.tf")
      file    = "lambda.tf"
    }
  }
  expect_failures = [var.release]
}

run "an_object_with_another_sum_is_rejected" {
  command = plan
  variables {
    release = {
      version     = "0.1.0"
      sha256      = filesha256("main.tf")
      s3_bucket   = "our-releases"
      s3_checksum = filebase64sha256("lambda.tf")
    }
  }
  expect_failures = [aws_lambda_function.this]
}

run "an_object_whose_sum_nobody_read_is_rejected" {
  command = plan
  variables {
    release = {
      version   = "0.1.0"
      sha256    = filesha256("main.tf")
      s3_bucket = "our-releases"
    }
  }
  expect_failures = [var.release]
}

run "a_missing_download_is_rejected" {
  command = plan
  variables {
    release = {
      version = "0.1.0"
      sha256  = filesha256("main.tf")
      file    = "not-downloaded.zip"
    }
  }
  expect_failures = [var.release]
}

run "a_release_without_a_place_is_rejected" {
  command = plan
  variables {
    release = {
      version = "0.1.0"
      sha256  = filesha256("main.tf")
    }
  }
  expect_failures = [var.release]
}

run "an_empty_bucket_is_no_place" {
  command = plan
  variables {
    release = {
      version   = "0.1.0"
      sha256    = filesha256("main.tf")
      s3_bucket = ""
    }
  }
  expect_failures = [var.release]
}

run "a_folder_is_no_zip_file" {
  command = plan
  variables {
    release = {
      version = "0.1.0"
      sha256  = filesha256("main.tf")
      file    = "tests"
    }
  }
  expect_failures = [var.release]
}

run "a_release_beside_a_zip_file_is_rejected" {
  command = plan
  variables {
    lambda_zip = "lambda.tf"
    release = {
      version = "0.1.0"
      sha256  = filesha256("main.tf")
      file    = "main.tf"
    }
  }
  expect_failures = [var.lambda_zip]
}

run "a_sum_in_upper_case_is_rejected" {
  command = plan
  variables {
    release = {
      version = "0.1.0"
      sha256  = upper(filesha256("main.tf"))
      file    = "main.tf"
    }
  }
  expect_failures = [var.release]
}

run "a_zip_file_for_another_architecture_is_rejected" {
  command = plan
  variables {
    lambda_zip = "tests/mocks/jvb-watcher-lambda-x86_64.zip"
  }
  expect_failures = [var.lambda_zip]
}

run "a_zip_file_for_this_architecture_is_accepted" {
  command = plan
  variables {
    lambda_zip          = "tests/mocks/jvb-watcher-lambda-x86_64.zip"
    lambda_architecture = "x86_64"
  }
  assert {
    condition     = aws_lambda_function.this[0].architectures[0] == "x86_64"
    error_message = "The function must have the zip file's architecture."
  }
}

run "a_release_for_another_architecture_is_rejected" {
  command = plan
  variables {
    release = {
      version = "0.1.0"
      sha256  = filesha256("tests/mocks/jvb-watcher-lambda-x86_64.zip")
      file    = "tests/mocks/jvb-watcher-lambda-x86_64.zip"
    }
  }
  expect_failures = [var.release]
}

run "a_worker_on_fargate_needs_no_release" {
  command = plan
  variables {
    runtime    = "fargate"
    image      = "jvb-watcher:1"
    subnet_ids = ["subnet-1"]
  }
  assert {
    condition     = length(aws_lambda_function.this) == 0
    error_message = "a function is created"
  }
}
