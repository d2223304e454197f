//! API types of group keywright.dev and the generator of their YAML.
