"""What programs do on calls that their tests do not make: how those that pass are told apart."""
