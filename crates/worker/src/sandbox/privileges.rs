//! Privileges of a process.

use rustix::process::{DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, set_capabilities, set_capabilities_secure_bits,
};

/// Drops every capability of this process and of all it will start, permanently. A server run by root thus gives foreign
/// code only the rights of the files' owner: capabilities would bypass Landlock in `/proc` and allow writing read-only
/// files.
pub(super) fn drop_all() {
    // Both fail when the process has no capabilities, which is the goal.
    let _ = set_capabilities_secure_bits(CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED);
    let none = CapabilitySet::empty();
    let _ = set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none });
}

/// Kills this process when the thread that started it ends. A change of credentials resets it.
pub(crate) fn die_with_parent() {
    // Fails for no signal that exists.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
}

/// Denies other processes of the user the memory and the descriptors of this one. A new program resets it.
pub(crate) fn hide_memory() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
