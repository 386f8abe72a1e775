"""What each training worker does: the model's packed forward pass, the objective, DeepSpeed, and the export.

worker.py     entry point of Ray Train: examples, steps, checkpoints
trainer.py    one optimizer step after another, without Ray
objective.py  a Batch through the model to its loss
attention.py  packed attention for CPUs and GPUs
model.py      loading, adapters, and whether the model can be packed
engine.py     DeepSpeed: settings, state, whole weights
tracking.py   metrics to TensorBoard, MLflow or Weights & Biases, from the driver
"""
