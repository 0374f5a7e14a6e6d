# The watcher of one service, as a Lambda function that runs a release.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

module "jvb_watcher" {
  source = "../.."

  project = "jitsi"
  release = var.release
}

variable "release" {
  description = "The release: its version, the SHA-256 of jvb-watcher-lambda-arm64.zip in its SHA256SUMS, and the path of that download."
  type = object({
    version = string
    sha256  = string
    file    = string
  })
}
