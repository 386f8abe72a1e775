"""What people and judges say of programs: votes, where they are kept, and how they are asked for."""
