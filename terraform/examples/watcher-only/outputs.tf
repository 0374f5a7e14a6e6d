output "log_group" {
  description = "Where jvb-watcher logs."
  value       = module.jvb_watcher.log_group_name
}

output "alarms" {
  description = "The names of the alarms."
  value       = module.jvb_watcher.alarm_names
}
