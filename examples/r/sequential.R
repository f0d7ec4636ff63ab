# A Sequential model: the pipe adds to it, and passes it on.
library(reticulate)

keras <- import("keras")
convt <- import("keras_convt")

model <- keras$Sequential(list(keras$Input(tuple(16L, 1L))))
# Assigned, because R prints the value of a bare pipe.
model <- model |>
  convt$layer_conv_1d(8, 5, padding = "same", activation = "relu") |>
  convt$layer_max_pooling_1d(2) |>
  convt$layer_conv_1d_transpose(8, 4, 2, padding = "same") |>
  convt$layer_activation_relu() |>
  convt$layer_dense(1)

for (layer in model$layers) cat(layer$name, "\n")
print(unlist(model$output_shape))
