variable "platform_state" {
  description = "Path of the platform's state. With another backend, change the data source in main.tf."
  type        = string
  default     = "../platform/terraform.tfstate"

  validation {
    condition     = fileexists(var.platform_state)
    error_message = "There is no state ${var.platform_state}: apply the configuration ../platform first."
  }
}

variable "allowed_cidrs" {
  description = "IPv4 CIDR blocks from which callers may connect."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}
