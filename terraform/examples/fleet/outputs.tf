output "log_group" {
  description = "Name of jvb-watcher's log group."
  value       = module.jvb_watcher.log_group_name
}

output "alarms" {
  description = "Names of the alarms."
  value       = module.jvb_watcher.alarm_names
}

output "config_text" {
  description = "The list of services as the program reads it."
  value       = module.jvb_watcher.config_text
}
