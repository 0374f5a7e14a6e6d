//! How a statically linked program finds the address of a name.

/// Has glibc, where it is linked statically, look in /etc/hosts and ask DNS, whatever /etc/nsswitch.conf says.
///
/// For any other source in that file it loads a library of the machine that it runs on, made for that machine's own
/// glibc, and crashes in it (rust-lang/rust#100711). These two are built in since glibc 2.34. A dynamically linked
/// program goes by the file.
pub fn use_built_in_sources() {
    #[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
    {
        use std::ffi::{c_char, c_int};

        unsafe extern "C" {
            fn __nss_configure_lookup(database: *const c_char, sources: *const c_char) -> c_int;
        }
        // It fails only for want of memory.
        // SAFETY: glibc takes two strings that end with NUL and keeps neither; no other thread looks up names yet.
        unsafe { __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr()) };
    }
}
